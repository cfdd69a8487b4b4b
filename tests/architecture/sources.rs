//! Reads the sources: their code without comments and strings, which of it is there for tests only, and which paths it
//! names. Not a parser of Rust: it knows braces, `mod`, `use`, attributes, and paths, as rustfmt writes them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::tables::{FOLDERS, INNER};

/// A file of `src`.
pub(crate) struct Source {
    /// Path below `src`, with forward slashes.
    pub(crate) name: String,
    pub(crate) text: String,
    /// What is in the product, without comments and strings.
    pub(crate) code: String,
    /// What is compiled for tests only, likewise.
    pub(crate) test_code: String,
    /// The top-level modules that each of them names.
    pub(crate) named: BTreeSet<String>,
    pub(crate) named_by_tests: BTreeSet<String>,
}

/// A piece of code: a word, a `::`, or a single sign.
#[derive(Clone, Debug)]
struct Token {
    text: String,
    /// Where it begins.
    at: usize,
}

/// The top-level modules that code outside of `src` names through `maxq::`.
pub(crate) fn named_in(folders: &[&str]) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("src/main.rs")];
    folders.iter().for_each(|folder| collect(&root.join(folder), &mut files));
    let paths = files.into_iter().flat_map(|path| {
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Their own `crate::` and `super::` lead to modules of theirs.
        let plain = without_comments(&text).replace("crate::", "self::");
        walk(&tokens(&plain), &["outside"; 9].map(str::to_owned)).paths
    });
    paths.filter_map(|(path, _)| place(&path)).collect()
}

/// What a file says, once its code has been walked through.
#[derive(Default)]
struct Seen {
    /// Paths from the root of the crate, and whether only tests name them.
    paths: Vec<(Vec<String>, bool)>,
    /// Modules in files of their own, likewise.
    modules: Vec<(Vec<String>, bool)>,
    /// The bytes of items for tests only.
    tests: Vec<(usize, usize)>,
}

/// All files of `src`, in the order of their names.
pub(crate) fn sources() -> &'static [Source] {
    static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(read_all);
    &SOURCES
}

fn read_all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(files.len() > 40, "the sources are where they should be");
    let read: Vec<(String, String, String, Seen)> = files
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.strip_prefix(&root).expect("found below it").to_string_lossy();
            let name = name.replace('\\', "/");
            let plain = without_comments(&text);
            let seen = walk(&tokens(&plain), &module_path(&name));
            (name, text, plain, seen)
        })
        .collect();
    let for_tests: Vec<Vec<String>> = read
        .iter()
        .flat_map(|(.., seen)| &seen.modules)
        .filter(|(_, test)| *test)
        .map(|(path, _)| path.clone())
        .collect();
    read.into_iter()
        .map(|(name, text, plain, seen)| {
            let own = module_path(&name);
            source(name, text, &plain, &seen, for_tests.iter().any(|path| own.starts_with(path)))
        })
        .collect()
}

fn source(name: String, text: String, plain: &str, seen: &Seen, all_test: bool) -> Source {
    let inside = |at: usize| all_test || seen.tests.iter().any(|&(from, to)| at >= from && at < to);
    let kept = |test: bool| -> String {
        plain
            .char_indices()
            .map(|(at, c)| if c == '\n' || inside(at) == test { c } else { ' ' })
            .collect()
    };
    let places = |test: bool| {
        let named = seen.paths.iter().filter(|(_, is_test)| (all_test || *is_test) == test);
        named.filter_map(|(path, _)| place(path)).collect()
    };
    let (code, test_code) = (kept(false), kept(true));
    Source { named: places(false), named_by_tests: places(true), name, text, code, test_code }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The place that a path leads to: one within another place, a module at the top, or one in a folder of places.
pub(crate) fn place(path: &[String]) -> Option<String> {
    let is_within = |inner: &&&str| {
        inner.split('/').enumerate().all(|(at, name)| path.get(at).is_some_and(|part| part == name))
    };
    if let Some(inner) = INNER.iter().find(is_within) {
        return Some((*inner).to_owned());
    }
    let first = path.first()?;
    if FOLDERS.contains(&&first[..]) { path.get(1).cloned() } else { Some(first.clone()) }
}

/// The module that a file is: `a::b` for `a/b.rs` and for `a/b/mod.rs`; the root for `lib.rs` and `main.rs`.
pub(crate) fn module_path(name: &str) -> Vec<String> {
    let name = name.trim_end_matches(".rs").trim_end_matches("/mod");
    if matches!(name, "lib" | "main") {
        return Vec::new();
    }
    name.split('/').map(str::to_owned).collect()
}

/// The same text, with comments, strings, and characters replaced by spaces.
fn without_comments(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => end_of(text, at, "\n"),
            b'/' if bytes[at..].starts_with(b"/*") => end_of(text, at + 2, "*/"),
            b'"' => end_of_string(bytes, at),
            b'r' if !is_word(bytes, at.wrapping_sub(1)) => end_of_raw_string(text, at),
            b'\'' => end_of_character(text, at),
            _ => at,
        };
        plain[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&plain).into_owned()
}

fn is_word(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn end_of(text: &str, from: usize, mark: &str) -> usize {
    text[from..].find(mark).map_or(text.len(), |found| from + found + mark.len())
}

fn end_of_string(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// `from` itself where no raw string begins.
fn end_of_raw_string(text: &str, from: usize) -> usize {
    let rest = &text[from + 1..];
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    if !rest[hashes..].starts_with('"') {
        return from;
    }
    end_of(text, from + hashes + 2, &format!("\"{}", "#".repeat(hashes)))
}

/// `from` itself where a lifetime begins.
fn end_of_character(text: &str, from: usize) -> usize {
    let mut inside = text[from + 1..].char_indices();
    match (inside.next(), inside.next()) {
        (Some((_, '\\')), Some((escaped, _))) => end_of(text, from + 1 + escaped + 1, "'"),
        (Some(_), Some((next, '\''))) => from + 1 + next + 1,
        _ => from,
    }
}

fn tokens(plain: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = plain.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        if c.is_whitespace() {
            continue;
        }
        let mut text = String::from(c);
        if c.is_alphanumeric() || c == '_' {
            while let Some((_, next)) = rest.next_if(|(_, c)| c.is_alphanumeric() || *c == '_') {
                text.push(next);
            }
        } else if c == ':' && rest.next_if(|(_, c)| *c == ':').is_some() {
            text.push(':');
        }
        found.push(Token { text, at });
    }
    found
}

/// A pair of braces that is open.
struct Scope {
    /// The name of a module, if it is one.
    module: Option<String>,
    /// Where its item begins, if that is for tests only.
    test_since: Option<usize>,
}

fn walk(tokens: &[Token], file: &[String]) -> Seen {
    let word = |at: usize| tokens.get(at).map_or("", |token| &token.text[..]);
    let mut seen = Seen::default();
    let mut scopes: Vec<Scope> = Vec::new();
    let mut module = file.to_vec();
    // Where an item for tests only begins whose end is not reached, and how many parentheses are open in it.
    let (mut pending, mut open) = (None, 0_usize);
    let mut named = None;
    let mut at = 0;
    while at < tokens.len() {
        let test = pending.is_some() || scopes.iter().any(|scope| scope.test_since.is_some());
        match word(at) {
            "#" if word(at + 1) == "[" => {
                let is_test =
                    (2..7).map(|ahead| word(at + ahead)).eq(["cfg", "(", "test", ")", "]"]);
                pending = pending.or(is_test.then_some(tokens[at].at));
                at += 1 + closing(tokens, at + 1);
                continue;
            }
            "mod" if word(at + 2) == "{" => named = Some(word(at + 1).to_owned()),
            "mod" if word(at + 2) == ";" => {
                let path = module.iter().cloned().chain([word(at + 1).to_owned()]).collect();
                seen.modules.push((path, test));
            }
            "crate" | "super" | "self" | "maxq" | "eprintln" | "eprint" => {
                let (paths, end) = named_from(tokens, at, &module);
                seen.paths.extend(paths.into_iter().map(|path| (path, test)));
                at = end;
                continue;
            }
            "(" => open += 1,
            ")" => open = open.saturating_sub(1),
            "{" => {
                let name = named.take();
                module.extend(name.clone());
                scopes.push(Scope { module: name, test_since: pending.take() });
            }
            "}" => {
                let scope = scopes.pop();
                if let Some(since) = scope.as_ref().and_then(|scope| scope.test_since) {
                    seen.tests.push((since, tokens[at].at + 1));
                }
                if scope.is_some_and(|scope| scope.module.is_some()) {
                    module.pop();
                }
            }
            ";" | "," if open == 0 => {
                if let Some(since) = pending.take() {
                    seen.tests.push((since, tokens[at].at + 1));
                }
            }
            _ => {}
        }
        at += 1;
    }
    assert!(scopes.is_empty(), "{file:?}: {} braces stay open", scopes.len());
    seen
}

/// The paths that begin at this word, from the root of the crate, and where they end.
fn named_from(tokens: &[Token], at: usize, module: &[String]) -> (Vec<Vec<String>>, usize) {
    let next = tokens.get(at + 1).map_or("", |token| &token.text[..]);
    let mut paths = Vec::new();
    let end = match (&tokens[at].text[..], next) {
        // The macros of lib.rs.
        ("eprintln" | "eprint", "!") => {
            paths.push(vec!["output".to_owned()]);
            at + 1
        }
        ("crate" | "maxq", "::") => path(tokens, at, Vec::new(), &mut paths),
        ("super" | "self", "::") => path(tokens, at, module.to_vec(), &mut paths),
        _ => at + 1,
    };
    (paths, end)
}

/// How many tokens after an opening bracket its closing one is, itself included.
fn closing(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0_usize;
    for (count, token) in tokens[from..].iter().enumerate() {
        match &token.text[..] {
            "[" => depth += 1,
            "]" if depth == 1 => return count + 1,
            "]" => depth -= 1,
            _ => {}
        }
    }
    tokens.len() - from
}

/// Follows a path, and each branch of its groups, from `base` on; where it ends.
fn path(tokens: &[Token], from: usize, base: Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let (mut at, mut path_so_far) = (from, base);
    while let Some(token) = tokens.get(at) {
        match &token.text[..] {
            "crate" | "self" | "maxq" => {}
            "super" => _ = path_so_far.pop(),
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    at = path(tokens, at, path_so_far.clone(), found);
                    // `as name`, and the comma.
                    while tokens.get(at).is_some_and(|token| !matches!(&token.text[..], "," | "}"))
                    {
                        at += 1;
                    }
                    at += usize::from(tokens.get(at).is_some_and(|token| token.text == ","));
                }
                return at + 1;
            }
            word => path_so_far.push(word.to_owned()),
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token.text != "::") {
            break;
        }
        at += 1;
    }
    found.push(path_so_far);
    at
}

//! Holds the sources to the architecture that `src/lib.rs` describes: which way arrows point, who owns which external
//! crate, where `unsafe` and clocks may be. Changing the architecture is then a visible change of these tables.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Most lines of a source file.
const MOST_LINES: usize = 500;

/// The data path: sans-io, pure over the time that it is given. Each may name itself and what is listed beside it.
const DATA_PATH: &[(&str, &[&str])] = &[
    ("failure", &[]),
    ("target", &[]),
    ("units", &["time"]),
    ("request", &[]),
    ("http1", &["failure"]),
    ("schedule", &["time", "units"]),
    ("record", &["failure", "schedule", "time"]),
    ("conn", &["http1", "schedule", "time"]),
    ("tls", &["failure", "record"]),
    ("tunnel", &["http1"]),
    (
        "worker",
        &[
            "conn", "failure", "http1", "plan", "record", "request", "schedule", "time", "tls",
            "tunnel",
        ],
    ),
];

/// What reads the results: above the data path, and knowing neither engines nor how a run is carried out.
const RESULTS: &[(&str, &[&str])] = &[
    ("analysis", &["units"]),
    ("results", &["base64", "exit", "files"]),
    ("comparison", &["analysis", "exit", "results", "units"]),
    ("summary", &["analysis", "exit", "http1", "pressure", "record", "time", "verdict"]),
    (
        "verdict",
        &[
            "analysis",
            "calibration",
            "failure",
            "plan",
            "pressure",
            "record",
            "summary",
            "time",
            "units",
        ],
    ),
    ("capacity", &["analysis", "exit", "plan", "pressure", "record", "summary", "time", "verdict"]),
    (
        "report",
        &[
            "analysis",
            "base64",
            "calibration",
            "capacity",
            "comparison",
            "exit",
            "failure",
            "http1",
            "plan",
            "pressure",
            "record",
            "request",
            "summary",
            "target",
            "time",
            "units",
            "verdict",
        ],
    ),
];

/// The only places that may name an external crate.
const CRATE_OWNERS: &[(&str, &[&str])] = &[
    ("bytes", &["engine/portable.rs", "request.rs", "serve/"]),
    ("clap", &["cli.rs", "cli/", "main.rs"]),
    ("core_affinity", &["calibrate.rs", "plan/cores.rs", "run/", "serve/"]),
    ("flate2", &["results/"]),
    ("hdrhistogram", &["record/", "report/", "results/"]),
    ("httparse", &["http1/", "serve/"]),
    ("idna", &["target.rs"]),
    ("io_uring", &["engine/"]),
    ("io_uring06", &["serve/"]),
    ("libc", &["engine/", "failure.rs", "files.rs", "report/", "run/preflight/", "sys.rs"]),
    ("monoio", &["engine/portable.rs", "serve/"]),
    ("pkcs8", &["plan/key.rs"]),
    ("rustls", &["engine/mirror.rs", "tls/"]),
    ("rustls_native_certs", &["plan/security.rs"]),
    ("serde_json", &["calibration/", "comparison/", "report/", "results/", "serve/"]),
    ("signal_hook", &["run/"]),
    ("socket2", &["engine/", "plan/route.rs", "run/preflight/", "serve/"]),
    ("webpki_roots", &["tls/"]),
];

/// The only files that may hold `unsafe`.
const UNSAFE: &[&str] = &["engine/bufring.rs", "engine/uring.rs", "sys.rs"];

/// The only places that may read a clock.
const CLOCKS: &[&str] = &[
    "calibrate.rs",
    "command/",
    "engine/gathered.rs",
    "engine/portable.rs",
    "engine/uring.rs",
    "engine/wait.rs",
    "plan/asked.rs",
    "plan/build.rs",
    "run/",
    "serve/",
    "sys.rs",
    "time.rs",
];

struct Source {
    /// Path below `src`, with forward slashes.
    name: String,
    text: String,
    /// The text without comments and without test modules.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(files.len() > 40, "the sources are where they should be");
    files
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path
                .strip_prefix(&root)
                .expect("found below it")
                .to_string_lossy()
                .replace('\\', "/");
            let code = code_of(&text);
            Source { name, text, code }
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
    {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn code_of(text: &str) -> String {
    let tests = text.find("#[cfg(test)]").unwrap_or(text.len());
    text[..tests]
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_test(source: &Source) -> bool {
    source.name.ends_with("tests.rs") || source.name.contains("/tests/")
}

fn module_of(source: &Source) -> &str {
    source.name.split('/').next().unwrap_or("").trim_end_matches(".rs")
}

fn is_in(name: &str, places: &[&str]) -> bool {
    places.iter().any(|place| name == *place || (place.ends_with('/') && name.starts_with(place)))
}

/// The modules of this crate that a source names through `crate::`.
fn named_modules(source: &Source) -> BTreeSet<String> {
    source
        .code
        .split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or("").split(',').map(first_word).collect(),
            None => vec![first_word(rest)],
        })
        .filter(|module| !module.is_empty())
        .collect()
}

fn first_word(text: &str) -> String {
    text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + name.len()..];
        let starts =
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.' || c == ':');
        starts && after.starts_with("::")
    })
}

#[test]
fn arrows_point_only_where_the_tables_say() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| !is_test(source)) {
        let module = module_of(source);
        let Some((_, allowed)) = DATA_PATH.iter().chain(RESULTS).find(|(name, _)| *name == module)
        else {
            continue;
        };
        for named in named_modules(source) {
            if named != module && !allowed.contains(&named.as_str()) {
                broken.push(format!("{} names {named}", source.name));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn each_external_crate_is_named_only_by_its_owners() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| !is_test(source)) {
        for (name, owners) in CRATE_OWNERS {
            if names_crate(&source.code, name) && !is_in(&source.name, owners) {
                broken.push(format!("{} names {name}", source.name));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_dependency_has_its_owners_and_its_reason() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .expect("a manifest");
    let section =
        manifest.split("\n[dependencies]\n").nth(1).and_then(|rest| rest.split("\n[").next());
    let mut above = "";
    let mut named = 0;
    for line in section.expect("dependencies").lines().filter(|line| !line.is_empty()) {
        if !line.starts_with('#') {
            let name = line.split([' ', '=']).next().unwrap_or("").replace('-', "_");
            assert!(above.starts_with('#'), "{name} says why it is there");
            assert!(CRATE_OWNERS.iter().any(|(owned, _)| *owned == name), "{name} has an owner");
            named += 1;
        }
        above = line;
    }
    assert_eq!(named, CRATE_OWNERS.len(), "every owned crate is a dependency");
}

#[test]
fn unsafe_code_is_only_where_it_is_listed_and_argued() {
    for source in sources() {
        let blocks = source.code.matches("unsafe {").count();
        if is_in(&source.name, UNSAFE) {
            let arguments = source.text.matches("// SAFETY:").count();
            assert!(blocks > 0, "{} is listed and has no unsafe code any more", source.name);
            assert!(arguments >= blocks, "{}: {blocks} blocks, {arguments} arguments", source.name);
        } else {
            assert_eq!(blocks, 0, "{}", source.name);
        }
    }
}

#[test]
fn clocks_are_read_only_at_the_edges() {
    for source in sources().iter().filter(|source| !is_test(source)) {
        let reads = ["Instant::now", "SystemTime::now", "monotonic()", "clock_gettime"];
        if let Some(read) = reads.iter().find(|read| source.code.contains(*read)) {
            assert!(is_in(&source.name, CLOCKS), "{} reads a clock with {read}", source.name);
        }
    }
}

#[test]
fn the_data_path_does_no_input_or_output() {
    for source in sources().iter().filter(|source| !is_test(source)) {
        if DATA_PATH.iter().any(|(name, _)| *name == module_of(source)) {
            for forbidden in
                ["std::fs", "std::io", "std::net", "std::thread", "println!", "std::env"]
            {
                assert!(!source.code.contains(forbidden), "{} uses {forbidden}", source.name);
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_stays_readable() {
    for source in sources() {
        assert!(source.text.starts_with("//! "), "{} opens with a header", source.name);
        let lines = source.text.lines().count();
        assert!(lines <= MOST_LINES, "{} has {lines} lines", source.name);
    }
}

#[test]
fn no_file_is_dead() {
    let all = sources();
    for source in &all {
        let name = source.name.trim_end_matches("/mod.rs").trim_end_matches(".rs");
        if matches!(name, "lib" | "main") {
            continue;
        }
        let (parent, stem) = name.rsplit_once('/').unwrap_or(("lib", name));
        let parents = [format!("{parent}.rs"), format!("{parent}/mod.rs")];
        let declared =
            all.iter().filter(|candidate| parents.contains(&candidate.name)).any(|parent| {
                parent.text.lines().any(|line| line.trim_end().ends_with(&format!("mod {stem};")))
            });
        assert!(declared, "{} is declared by its parent", source.name);
    }
}

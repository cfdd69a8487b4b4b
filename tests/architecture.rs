//! Holds the sources to the architecture that `src/lib.rs` describes: which way arrows point, who owns which external
//! crate, where `unsafe` and clocks may be. Changing the architecture is then a visible change of these tables.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[path = "architecture/sources.rs"]
mod sources;
#[path = "architecture/tables.rs"]
mod tables;

use sources::{Source, module_path, named_in, place, sources};
use tables::{
    DATA_PATH, FLOORS, FOLDERS, KNOWN_EXCEPTIONS, NEEDLESSLY_PUBLIC, OUTSIDE, TESTS_MAY_NAME,
};

/// Most lines of a source file.
const MOST_LINES: usize = 500;

/// The only places that may name an external crate.
const CRATE_OWNERS: &[(&str, &[&str])] = &[
    ("bytes", &["engine/portable.rs", "request.rs", "serve/"]),
    ("clap", &["cli.rs", "cli/", "main.rs"]),
    ("core_affinity", &["commands/calibrate.rs", "plan/cores.rs", "run/", "serve/"]),
    ("flate2", &["result/document/"]),
    ("hdrhistogram", &["core/record/", "report/", "result/document/"]),
    ("httparse", &["core/http1/", "serve/"]),
    ("idna", &["target.rs"]),
    ("io_uring", &["engine/"]),
    ("io_uring06", &["serve/"]),
    (
        "libc",
        &["engine/", "core/failure.rs", "files.rs", "report/", "run/preflight/", "machine/sys.rs"],
    ),
    ("monoio", &["engine/portable.rs", "serve/"]),
    ("pkcs8", &["plan/key.rs"]),
    ("rustls", &["engine/mirror.rs", "core/tls/"]),
    ("rustls_native_certs", &["plan/security.rs"]),
    ("serde_json", &["result/calibration/", "commands/", "report/", "result/document/", "serve/"]),
    ("signal_hook", &["run/"]),
    ("socket2", &["engine/", "plan/route.rs", "run/preflight/", "serve/"]),
    ("webpki_roots", &["core/tls/"]),
];

/// The only files that may hold `unsafe`.
const UNSAFE: &[&str] = &["engine/bufring.rs", "engine/uring.rs", "machine/sys.rs"];

/// The only places that may read a clock.
const CLOCKS: &[&str] = &[
    "commands/",
    "engine/gathered.rs",
    "engine/portable.rs",
    "engine/uring.rs",
    "engine/wait.rs",
    "plan/asked.rs",
    "plan/build.rs",
    "run/",
    "serve/",
    "machine/sys.rs",
    "time.rs",
];

fn place_of(source: &Source) -> String {
    place(&module_path(&source.name)).unwrap_or_else(|| {
        // A root, or the list of the places in a folder.
        source.name.trim_end_matches("/mod.rs").trim_end_matches(".rs").to_owned()
    })
}

/// The files that declare places: the root of the library, and the list in each folder of places.
fn declares_places(source: &Source) -> bool {
    let list = source.name.strip_suffix("/mod.rs");
    source.name == "lib.rs" || list.is_some_and(|folder| FOLDERS.contains(&folder))
}

/// All places in the order of the table, and what each may name.
fn places() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    FLOORS.iter().flat_map(|(_, places)| places.iter().copied())
}

/// How far down a place stands.
fn depth(place: &str) -> usize {
    let found = places().position(|(name, _)| name == place);
    found.unwrap_or_else(|| panic!("{place} is a place of the table"))
}

fn is_exception(from: &str, to: &str) -> bool {
    KNOWN_EXCEPTIONS.iter().any(|(one, other, _)| (*one, *other) == (from, to))
}

fn may_name(from: &str, to: &str) -> bool {
    from == to
        || is_exception(from, to)
        || places().any(|(name, may)| name == from && may.contains(&to))
}

fn tests_may_name(from: &str, to: &str) -> bool {
    may_name(from, to)
        || TESTS_MAY_NAME.iter().any(|(name, may)| *name == from && may.contains(&to))
}

fn is_in(name: &str, places: &[&str]) -> bool {
    places.iter().any(|place| name == *place || (place.ends_with('/') && name.starts_with(place)))
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
fn every_file_has_a_place_and_every_place_a_file() {
    let listed: BTreeSet<&str> = places().map(|(name, _)| name).collect();
    assert_eq!(listed.len(), places().count(), "each place stands in the table once");
    let all = sources();
    let in_place = all.iter().filter(|file| file.name == "lib.rs" || !declares_places(file));
    let found: BTreeSet<String> = in_place.map(place_of).collect();
    assert_eq!(found, listed.into_iter().map(str::to_owned).collect());
}

#[test]
fn arrows_point_only_where_the_table_says() {
    let mut broken = Vec::new();
    for source in sources() {
        let place = place_of(source);
        let unlisted = source.named.iter().filter(|named| !may_name(&place, named));
        broken.extend(unlisted.map(|named| format!("{} names {named}", source.name)));
        let of_tests = source.named_by_tests.iter().filter(|named| !tests_may_name(&place, named));
        broken.extend(of_tests.map(|named| format!("a test in {} names {named}", source.name)));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn arrows_point_down_so_that_there_is_no_circle() {
    for (place, may) in places() {
        for named in may {
            assert!(depth(named) > depth(place), "{place} may name {named}, which stands above it");
            assert!(!is_exception(place, named), "{place} may name {named}: not an exception");
        }
    }
}

#[test]
fn known_exceptions_are_needed_and_point_up() {
    let all = sources();
    for (from, to, reason) in KNOWN_EXCEPTIONS {
        assert!(depth(to) < depth(from), "{from} may name {to} without being an exception");
        assert!(!reason.is_empty(), "{from} names {to}: say why");
        let needed =
            all.iter().any(|source| place_of(source) == *from && source.named.contains(*to));
        assert!(needed, "{from} does not name {to} any more: take it out of the exceptions");
    }
}

#[test]
fn modules_are_public_only_where_something_outside_needs_them() {
    let outside = named_in(OUTSIDE);
    let lists = sources().iter().filter(|source| declares_places(source));
    let mut broken = Vec::new();
    for line in lists.flat_map(|list| list.code.lines()).filter(|line| line.ends_with(';')) {
        let Some((visibility, name)) = line.trim_end_matches(';').split_once("mod ") else {
            continue;
        };
        if FOLDERS.contains(&name) {
            continue;
        }
        let (public, needed) = (visibility.trim() == "pub", outside.contains(name));
        let listed = NEEDLESSLY_PUBLIC.contains(&name);
        if public && !needed && !listed {
            broken.push(format!("nothing outside names {name}: make it pub(crate)"));
        }
        if listed && (needed || !public) {
            broken
                .push(format!("{name} is needed outside, or not public: take it out of the table"));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn each_external_crate_is_named_only_by_its_owners() {
    let mut broken = Vec::new();
    for source in sources().iter() {
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
            assert!(!source.test_code.contains("unsafe {"), "a test in {}", source.name);
        }
    }
}

#[test]
fn clocks_are_read_only_at_the_edges() {
    for source in sources().iter() {
        let reads = ["Instant::now", "SystemTime::now", "monotonic()", "clock_gettime"];
        if let Some(read) = reads.iter().find(|read| source.code.contains(*read)) {
            assert!(is_in(&source.name, CLOCKS), "{} reads a clock with {read}", source.name);
        }
    }
}

#[test]
fn the_data_path_does_no_input_or_output() {
    for source in sources().iter() {
        if DATA_PATH.contains(&&place_of(source)[..]) {
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
    for source in all {
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

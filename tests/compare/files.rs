//! Files of runs, compared.

use std::fs;

use super::{SHORT, checked_runs, compare, law, metric, parsed, recorded, refused, target};
use crate::support::{maxq, maxq_on_engine, run};

#[test]
fn four_times_as_slow_is_a_regression_and_the_same_is_none() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let base = recorded(folder.path(), "base.json", &law(&server, 30), "5");
    let again = recorded(folder.path(), "again.json", &law(&server, 30), "5");
    let slow = recorded(folder.path(), "slow.json", &law(&server, 120), "5");
    let (review, junit) = (folder.path().join("review.md"), folder.path().join("junit.xml"));
    let [review_name, junit_name] = [&review, &junit].map(|path| path.to_str().unwrap());
    // Other URLs are other plans, and a busy machine makes runs void and moves them by some percent.
    let lenient = ["--force", "--gate", "p50", "--effect", "p50=50%"];
    let files = ["--json", "--markdown", review_name, "--junit", junit_name];
    let ended = compare(&base, &slow, &[&lenient[..], &files].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(3), ""), "{}", ended.stdout);
    let comparison = parsed(&ended.stdout);
    assert_eq!(comparison["verdict"], "regression");
    let p50 = metric(&comparison, "p50");
    let shift = p50["shift_pct"].as_f64().unwrap();
    assert!((150.0..450.0).contains(&shift), "{p50:#}");
    assert_eq!(p50["p_value"].as_f64().unwrap(), 2.0 / 252.0, "all of five above all of five");
    assert_eq!(checked_runs(&comparison["base"]["runs"]).len(), 5);
    assert!(comparison["new_above_base_share"].as_f64().unwrap() > 0.9);
    let review = fs::read_to_string(review).unwrap();
    assert!(review.starts_with("### maxq compare: **regression**\n"), "{review}");
    assert!(review.contains("\n| p50 | ") && review.contains(" | regression |\n"), "{review}");
    let junit = fs::read_to_string(junit).unwrap();
    assert!(junit.contains("tests=\"1\" failures=\"1\" errors=\"0\" skipped=\"0\""), "{junit}");
    assert!(junit.trim_end().ends_with("</testsuites>"), "{junit}");

    let ended = compare(&base, &again, &lenient);
    assert!(matches!(ended.code, Some(0 | 4)), "{ended:?}");
    let verdict = ended.stdout.lines().position(|line| line.starts_with("Verdict"));
    let table = ended.stdout.lines().position(|line| line.starts_with("Metric"));
    assert!(verdict.unwrap() < table.unwrap(), "{}", ended.stdout);
    // The other way round it is faster, which is no failure.
    let ended = compare(&slow, &base, &[&lenient[..], &["-q"]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("p50 is") && ended.stdout.contains("faster"), "{ended:?}");

    let ended = compare(&base, &slow, &[]);
    refused(&ended, 2, &["request: path '", "law/fixed?d=120ms'", "with --other-request"]);
}

#[test]
fn a_load_that_differs_is_named_and_lists_and_folders_are_sides() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let url = law(&server, 20);
    let sides = folder.path().join("sides");
    fs::create_dir(&sides).unwrap();
    let one = recorded(&sides, "a.json", &url, "2");
    let two = recorded(&sides, "b.json", &url, "2");
    let lists = |base: &[&str], new: &[&str]| {
        let mut command = maxq();
        command.args(["compare", "--force", "--format", "json", "--base"]).args(base);
        run(command.arg("--new").args(new).current_dir(&sides))
    };
    let ended = lists(&["a.json", "b.json"], &["."]);
    assert!(matches!(ended.code, Some(0 | 4)), "{ended:?}");
    let comparison = parsed(&ended.stdout);
    assert_eq!((&comparison["base_runs"], &comparison["new_runs"]), (&4.into(), &4.into()));
    let few =
        compare(&one, &two, &["--force", "--gate", "p50,p99", "--inconclusive", "pass", "-q"]);
    assert_eq!(few.code, Some(0), "{few:?}");
    assert!(few.stdout.contains("inconclusive") && few.stdout.contains("more runs"), "{few:?}");
    let few = compare(&one, &two, &["--force", "--format", "tsv"]);
    assert_eq!((few.code, few.stdout.lines().count()), (Some(4), 13), "{few:?}");
    let csv = compare(&one, &two, &["--force", "--format", "csv"]);
    let tabs_as_commas = few.stdout.replace('\t', ",");
    assert_eq!((csv.code, csv.stdout), (Some(4), tabs_as_commas));

    let more = folder.path().join("more.json");
    let mut other = parsed(&fs::read_to_string(&two).unwrap());
    for run in other["runs"].as_array_mut().unwrap() {
        run["plan"]["connections"] = 64.into();
        run["plan"]["hashes"]["load"] = "other".into();
    }
    fs::write(&more, other.to_string()).unwrap();
    refused(&compare(&one, &more, &[]), 2, &["connections 32 and 64", "a.json", "more.json"]);
}

#[test]
fn files_that_cannot_be_compared_are_refused_by_name() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let good = recorded(folder.path(), "good.json", &law(&server, 20), "1");
    let whole = fs::read_to_string(&good).unwrap();
    let mut no_histogram = parsed(&whole);
    no_histogram["runs"][0]["latency"]["response"]["histogram"] = "HISTFAAAAA==".into();
    let mut no_key = parsed(&whole);
    no_key["runs"][0]["counts"].as_object_mut().unwrap().remove("ok");
    for (name, content, says) in [
        ("half.json", whole[..whole.len() / 2].to_owned(), "ends in the middle"),
        ("empty.json", String::new(), "empty"),
        ("foreign.json", "{\"results\": []}".to_owned(), "no result of maxq"),
        ("later.json", "{\"schema\": \"maxq.run/9\"}".to_owned(), "maxq.run/9"),
        ("sweep.json", "{\"schema\": \"maxq.sweep/1\"}".to_owned(), "maxq.sweep/1"),
        ("broken.json", no_histogram.to_string(), "histogram is not an HdrHistogram"),
        ("key.json", no_key.to_string(), "counts.ok is missing"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        refused(&compare(&good, &path, &[]), 2, &[name, says]);
        refused(&compare(&path, &good, &["--json"]), 2, &[name, says]);
    }
    refused(&compare(&good, &folder.path().join("none.json"), &[]), 2, &["none.json"]);
}

#[test]
fn flags_that_mean_nothing_are_refused_by_name() {
    let compare = |arguments: &[&str]| run(maxq().arg("compare").args(arguments));
    for (arguments, parts) in [
        (&[][..], &["BASE NEW", "--urls"][..]),
        (&["a.json"], &["two sides", "a.json"]),
        (&["a.json", "b.json", "-c", "5"], &["--connections", "--urls"]),
        (&["a.json", "b.json", "--gate", "p98"], &["--gate", "p98"]),
        (&["a.json", "b.json", "--effect", "p50=5"], &["--effect p50=5", "share"]),
        (&["a.json", "b.json", "--floor", "5x"], &["--floor", "5x"]),
        (&["a.json", "b.json", "--json", "--format", "tsv"], &["--json", "--format"]),
        (&["a.json", "b.json", "--pairs", "6"], &["--urls"]),
        (&["a.json", "b.json", "--junit", "-"], &["--junit -", "-o"]),
        (&["--base", "a.json"], &["--new"]),
        (&["a.json", "b.json", "--format", "ndjson"], &["ndjson", "csv", "junit"]),
        (
            &["--urls", "http://127.0.0.1:9/", "http://127.0.0.1:9/", "--pairs", "4"],
            &["--pairs 4", "from 5"],
        ),
        (&["--urls", "http://127.0.0.1:9/", "http://127.0.0.1:9/", "--hgrm", "x"], &["--hgrm"]),
        (&["--urls", "http://127.0.0.1:9/", "http://127.0.0.1:9/", "--repeat", "2"], &["--pairs"]),
    ] {
        refused(&compare(arguments), 2, parts);
    }
}

#[test]
fn runs_without_a_good_answer_never_pass() {
    let server = target();
    let folder = tempfile::tempdir().unwrap();
    let base = recorded(folder.path(), "base.json", &law(&server, 5), "5");
    let new = folder.path().join("new.json");
    let mut command = maxq_on_engine();
    command.args(SHORT).args(["--repeat", "5", "--json", "-q", "-o"]).arg(&new);
    let url = format!("http://{}/status/500", server.local_address());
    assert_eq!(run(command.arg(url)).code, Some(5));
    for more in [
        &["--force"][..],
        &["--force", "--gate", "p50,p99"],
        &["--force", "--inconclusive", "pass"],
    ] {
        let ended = compare(&base, &new, more);
        assert!(matches!(ended.code, Some(3..=6)), "{more:?}: {ended:?}");
        assert!(!ended.stdout.contains("Verdict       pass"), "{}", ended.stdout);
    }
}

#[test]
fn a_refusal_leaves_no_pass_of_another_day_behind() {
    let server = target();
    let folder = tempfile::tempdir().unwrap();
    let base = recorded(folder.path(), "base.json", &law(&server, 5), "1");
    let (junit, markdown) = (folder.path().join("c.xml"), folder.path().join("c.md"));
    fs::write(&junit, "<testsuites/>").unwrap();
    fs::write(&markdown, "pass").unwrap();
    let broken = folder.path().join("broken.json");
    fs::write(&broken, "{").unwrap();
    let files = [junit.to_str().unwrap(), markdown.to_str().unwrap()];
    let ended = compare(&base, &broken, &["--junit", files[0], "--markdown", files[1]]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(fs::read_to_string(&junit).unwrap().contains("<error"));
    assert_ne!(fs::read_to_string(&markdown).unwrap(), "pass");
}

#[test]
fn the_same_runs_on_both_sides_are_said_and_pipes_are_files_too() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let base = recorded(folder.path(), "base.json", &law(&server, 5), "5");
    let copy = folder.path().join("copy.json");
    fs::copy(&base, &copy).unwrap();
    for new in [&base, &copy] {
        let ended = compare(&base, new, &["--invalid"]);
        let words = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("both sides hold the same runs"), "{}", ended.stdout);
        let json = parsed(&compare(&base, new, &["--invalid", "--json"]).stdout);
        let note = json["notes"][0].as_str().unwrap();
        assert!(note.starts_with("both sides hold the same runs"), "{note}");
    }
    let pipe = folder.path().join("pipe.json");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let content = fs::read(&base).unwrap();
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| fs::write(&pipe, &content).unwrap());
        compare(&base, &pipe, &["--invalid"])
    });
    assert!(ended.stdout.contains("both sides hold"), "{ended:?}");
}

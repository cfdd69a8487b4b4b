//! Two URLs, measured in turns.

use super::{SHORT, checked_runs, law, metric, parsed, refused, target};
use crate::support::scripted::closed_port;
use crate::support::{Running, maxq, run, wait_until};

#[test]
fn pairs_are_interleaved_and_find_what_is_four_times_as_slow() {
    let server = target();
    let [fast, slow] = [law(&server, 30), law(&server, 120)];
    let mut command = maxq();
    command.args(["compare", "--urls", &fast, &slow]).args(SHORT);
    let ended =
        run(command.args(["--pairs", "6", "--gate", "p50", "--force", "--no-preflight", "--json"]));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let told: Vec<&str> = ended.stderr.lines().collect();
    assert!(told.len() >= 7 && told[1].starts_with("maxq: pair 1 of 6: p99 "), "{told:?}");
    let comparison = parsed(&ended.stdout);
    assert_eq!((&comparison["design"], &comparison["pairs"]), (&"paired".into(), &6.into()));
    assert_eq!(metric(&comparison, "p50")["p_value"].as_f64(), Some(0.031_25));
    let base = checked_runs(&comparison["base"]["runs"]);
    let new = checked_runs(&comparison["new"]["runs"]);
    assert_eq!((base.len(), new.len()), (6, 6));
    let mut base_first = Vec::new();
    for (base, new) in base.iter().zip(&new) {
        assert_eq!(base.number("/plan/seed"), new.number("/plan/seed"));
        base_first.push(base.text("/started_at") < new.text("/started_at"));
    }
    // The order is drawn for two pairs at a time, so that each side goes first in one of them.
    for two in base_first.chunks(2) {
        assert_eq!(two.iter().filter(|first| **first).count(), 1, "{base_first:?}");
    }
}

#[test]
fn a_comparison_that_is_interrupted_shows_its_pairs_and_decides_nothing() {
    let server = target();
    let [fast, slow] = [law(&server, 5), law(&server, 50)];
    let mut command = maxq();
    command.args(["compare", "--urls", &fast, &slow]).args(SHORT).args(["-q", "--no-preflight"]);
    let running = Running::start(command.args(["--pairs", "100", "--json", "--force"]));
    // One pair of 60 requests each that does not count, three that do, and half of the next.
    wait_until("three pairs", || server.counters().requests_total() > 8 * 60 + 30);
    running.signal("INT");
    let ended = running.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(130), ""));
    let comparison = parsed(&ended.stdout);
    assert_eq!(
        (&comparison["verdict"], &comparison["signal"]),
        (&"inconclusive".into(), &2.into())
    );
    let pairs = comparison["pairs"].as_u64().unwrap();
    assert!((3..100).contains(&pairs), "{pairs}");
    assert_eq!(comparison["more_runs_needed"].as_u64(), Some(100 - pairs));
}

#[test]
fn pairs_that_are_not_valid_are_shown_and_end_a_comparison_that_they_would_decide() {
    let server = target();
    // Five times as much as it can do: what waits grows all along.
    let url = format!("http://{}/law/md1?d=5ms", server.local_address());
    let mut command = maxq();
    command.args(["compare", "--urls", &url, &url, "--pairs", "7", "--no-preflight", "--json"]);
    command.args(["-t", "1", "-c", "4", "-R", "1000", "-d", "200ms", "--drain", "0"]);
    let ended = run(command.args(["--warmup", "0", "--pause", "0"]));
    assert_eq!(ended.code, Some(6), "{ended:?}");
    let told: Vec<&str> = ended.stderr.lines().collect();
    assert!(told.iter().any(|line| line.contains("; not valid: ")), "{told:?}");
    let last = told.last().unwrap();
    assert!(last.contains("base runs 0 remain"), "{told:?}");
    let comparison = parsed(&ended.stdout);
    assert_eq!(comparison["verdict"], "inconclusive");
    let measured = checked_runs(&comparison["new"]["runs"]).len();
    // Of ten attempts at seven pairs, five must count.
    assert_eq!(measured, 6, "the fifth pair that counts cannot come any more");
    assert_eq!(comparison["left_out"].as_array().map(Vec::len), Some(2 * measured));
}

#[test]
fn a_url_that_nobody_serves_is_an_unusable_target() {
    let server = target();
    let (address, _kept) = closed_port();
    let url = format!("http://{address}/");
    let mut command = maxq();
    command.args(["compare", "--urls", &law(&server, 5), &url]).args(SHORT);
    refused(&run(&mut command), 5, &[&url, "refused"]);
}

#[test]
fn a_side_without_one_good_answer_ends_the_comparison_and_is_no_pass() {
    let server = target();
    let bad = format!("http://{}/status/500", server.local_address());
    let mut command = maxq();
    command.args(["compare", "--urls", &law(&server, 5), &bad, "--json", "--force"]).args(SHORT);
    let ended = run(command.args(["-q", "--no-preflight"]));
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stderr.contains("good"), "{ended:?}");
    assert!(server.counters().requests_total() < 4 * 60, "nobody is asked again and again");
}

#[test]
fn a_body_that_can_be_read_once_is_not_sent_to_two() {
    let server = target();
    let url = format!("http://{}/echo", server.local_address());
    for flags in [["-b", "@-"], ["--raw", "-"]] {
        let mut command = maxq();
        command.args(["compare", "--urls", &url, &url]).args(flags).args(SHORT);
        refused(&run(&mut command), 2, &[flags[0]]);
    }
    assert_eq!(server.counters().requests_total(), 0);
}

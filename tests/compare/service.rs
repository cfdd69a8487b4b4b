//! Comparisons against a real service.

use super::{parsed, recorded_with, refused};
use crate::support::service::Service;
use crate::support::{maxq, run};

#[test]
fn a_service_is_no_slower_than_itself() {
    let service = Service::start();
    let url = service.url("/items/1");
    let mut command = maxq();
    command.args(["compare", "--urls", &url, &url, "--pairs", "5", "--json", "-q", "--invalid"]);
    // Two in five of what the pool can do, so that nothing is refused, on a machine that others use as well.
    command.args(["-R", "80", "-c", "8", "-t", "1", "-d", "700ms", "--warmup", "100ms"]);
    let ended = run(command.args(["--pause", "0", "--no-preflight"]));
    let comparison = parsed(&ended.stdout);
    assert_ne!(comparison["verdict"], "regression", "{:#}", comparison["metrics"]);
    assert!(matches!(ended.code, Some(0 | 4)), "{:?} {}", ended.code, ended.stderr);
    assert_eq!(
        (&comparison["design"], &comparison["judged_as"]),
        (&"paired".into(), &"two_sample".into())
    );
    assert_eq!(comparison["pairs"], 5);
}

#[test]
fn a_fresh_token_is_the_same_plan_and_another_port_is_one_flag_away() {
    let (one, other) = (Service::start(), Service::start());
    let folder = tempfile::tempdir().unwrap();
    let runs = |name: &str, service: &Service, token: &str| {
        let header = format!("Authorization: Bearer {token}");
        recorded_with(folder.path(), name, &service.url("/orders"), ("4", &["-H", &header]))
    };
    let base = runs("base.json", &one, "first");
    let fresh = runs("fresh.json", &one, "second");
    let moved = runs("moved.json", &other, "third");
    // The machine may be too busy for valid runs, and four are too few for a regression.
    let compare = |new: &std::path::Path, more: &[&str]| {
        run(maxq().arg("compare").arg(&base).arg(new).args(["--invalid", "-q"]).args(more))
    };
    let same = compare(&fresh, &[]);
    assert!(matches!(same.code, Some(0 | 4)), "{same:?}");
    refused(&compare(&moved, &[]), 2, &["target http://127.0.0.1:", "with --other-target"]);
    let allowed = compare(&moved, &["--other-target"]);
    assert!(matches!(allowed.code, Some(0 | 4)), "{allowed:?}");
}

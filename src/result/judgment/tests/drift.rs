//! Latencies that change while a run goes on.

use super::{Case, case, in_time, open};
use crate::result::verdict::{Code, Level, TargetState};
use crate::time::Nanos;

/// A run whose median is `ms` in each second of a number of them.
fn medians(open: bool, seconds: usize, ms: impl Fn(f64) -> f64) -> Case {
    let mut case = case(open, in_time);
    let slices = case.slices.iter().cycle().take(seconds * 10);
    case.slices = slices.cloned().collect();
    for (slice, tenths) in case.slices.iter_mut().zip(0_u32..) {
        let ns = Nanos::from_seconds(ms(f64::from(tenths) / 10.0) / 1e3).0;
        slice.latency = [(ns, 100)].into_iter().collect();
        slice.max_ns = ns;
    }
    case
}

#[test]
fn a_target_that_becomes_slower_is_the_result_of_a_valid_run() {
    for open in [true, false] {
        let case = medians(open, 60, |at_s| 11.0 + at_s / 3.0);
        let verdict = case.verdict();
        assert!(verdict.valid, "{verdict:?}");
        assert_eq!(case.rules(Level::Warn), ["S3"]);
        let text = &verdict.reasons[0].text;
        assert!(text.starts_with("median rose from 11.3 ms to 31.0 ms in 60 s"), "{text}");
        assert!(text.ends_with("20.0 ms a minute"), "{text}");
        assert_eq!(verdict.target, TargetState::Degraded);
        assert_eq!(&verdict.target_text, text);
    }
    // What gets faster is told, and no reproach.
    let faster = medians(true, 60, |at_s| 30.0 - at_s / 3.0);
    assert_eq!(faster.rules(Level::Info), ["S3"]);
    assert_eq!(faster.verdict().target, TargetState::Held);
}

#[test]
fn a_start_that_settles_asks_for_a_longer_warm_up() {
    let case = medians(true, 60, |at_s| 10.0 + 20.0 * (-at_s / 6.0).exp());
    let verdict = case.verdict();
    assert_eq!((verdict.code, verdict.valid), (Code::NotSteady, false), "{verdict:?}");
    assert!(verdict.sentence.contains("--warmup"), "{verdict:?}");
    assert_eq!(verdict.target, TargetState::Held);
    let verdict = Case { steady: false, ..open() }.verdict();
    assert_eq!((verdict.code, verdict.valid), (Code::NotSteady, false));
    // No end of a warm-up is found where it becomes slower and slower; that is no reason to ask for one.
    let case = Case { steady: false, ..medians(true, 60, |at_s| 11.0 + at_s / 3.0) };
    assert!(case.verdict().valid, "{:?}", case.verdict());
}

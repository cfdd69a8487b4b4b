//! What a sweep is to do: which flag has several values, in which order they are run, and for how long.

use crate::cli::{FormatArg, OnOverloadArg, OrderArg, RunArgs, SweepArgs};
use crate::core::schedule::Rate;
use crate::exit::Refusal;
use crate::plan::{Load, Output};
use crate::result::summary::{Course, Order, Seen, Variable, fewest_samples, float};
use crate::stats::random::Random;
use crate::time::{NANOS_PER_SECOND, Nanos, seconds};

/// Measured time of each run when nobody says, and answers come fast enough.
const DEFAULT_DURATION_NS: u64 = 5_000_000_000;
/// A run with few answers is at most so many times longer.
const MOST_STRETCH: u64 = 3;
/// A run should get so many times the answers that a p99 needs, since answers depend on one another.
const RESERVE: u64 = 2;
/// More runs of one value tell nothing new.
const MOST_REPEATS: u64 = 1000;
/// Runs between two sentinels.
const RUNS_BETWEEN: usize = 5;

/// The values of the one flag that has several.
#[derive(Clone, Debug)]
pub(super) enum Values {
    Rates(Vec<Rate>),
    Connections(Vec<u64>),
    Pipelines(Vec<u64>),
}

impl Values {
    /// The flag that is a list.
    pub(super) fn of(args: &SweepArgs) -> Result<Self, Refusal> {
        let (rates, connections, pipelines) = (&args.rates, &args.connections, &args.pipelines);
        let lists: Vec<&str> = [
            ("--rate", rates.len()),
            ("--connections", connections.len()),
            ("--pipeline", pipelines.len()),
        ]
        .into_iter()
        .filter(|&(_, count)| count > 1)
        .map(|(flag, _)| flag)
        .collect();
        match lists[..] {
            ["--rate"] => Ok(Self::Rates(rates.clone())),
            ["--connections"] => Ok(Self::Connections(connections.clone())),
            [_] => Ok(Self::Pipelines(pipelines.clone())),
            [] => Err(Refusal::usage(
                "nothing to sweep: give several values to one of --rate, --connections, and --pipeline, like --rate 200..1300/6 or --connections 1,2,4..512"
                    .to_owned(),
            )),
            [first, second, ..] => Err(Refusal::usage(format!(
                "{first} and {second} have several values each, and only one flag can be swept; give one value to the other"
            ))),
        }
    }

    pub(super) const fn variable(&self) -> Variable {
        match self {
            Self::Rates(_) => Variable::Rate,
            Self::Connections(_) => Variable::Connections,
            Self::Pipelines(_) => Variable::Pipeline,
        }
    }

    /// The values as numbers, rising.
    #[expect(clippy::cast_precision_loss, reason = "counts of connections are far below 2^53")]
    pub(super) fn numbers(&self) -> Vec<f64> {
        match self {
            Self::Rates(rates) => rates.iter().map(|rate| rate.per_second()).collect(),
            Self::Connections(counts) | Self::Pipelines(counts) => {
                counts.iter().map(|&count| count as f64).collect()
            }
        }
    }

    /// The flags of the run of one value, but for its length.
    pub(super) fn args(&self, base: &RunArgs, index: usize) -> RunArgs {
        let mut args = base.clone();
        match self {
            Self::Rates(rates) => args.rate = Some(rates[index]),
            Self::Connections(counts) => args.connections = counts[index],
            Self::Pipelines(counts) => args.pipeline = counts[index],
        }
        args
    }
}

/// The flags that all runs have in common.
pub(super) fn base(args: &SweepArgs) -> Result<RunArgs, Refusal> {
    let run = &args.target.args;
    if let Some(flag) = Output::from(run).of_one_run() {
        return Err(Refusal::usage(format!(
            "{flag} shows one run, and a sweep makes several; leave it out, or use maxq run with one of the values"
        )));
    }
    Output::check_format(run)?;
    if run.abort_on.is_some() {
        return Err(Refusal::usage(
            "--abort-on ends a run at the very load that a sweep is to show; leave it out"
                .to_owned(),
        ));
    }
    for (flag, given) in [("--stages", run.stages.is_some()), ("--burst", run.burst.is_some())] {
        if given {
            return Err(Refusal::usage(format!(
                "{flag} contradicts sweep, where each run has one constant load; leave it out, or use maxq run {flag}"
            )));
        }
    }
    if run.on_overload == Some(OnOverloadArg::Abort) {
        return Err(Refusal::usage(
            "--on-overload abort ends a run at the very load that a sweep is to show; use queue or shed"
                .to_owned(),
        ));
    }
    if let Some(repeats) = run.repeat.filter(|repeats| !(1..=MOST_REPEATS).contains(repeats)) {
        return Err(Refusal::usage(format!(
            "--repeat {repeats}: each value is run from 1 to {MOST_REPEATS} times"
        )));
    }
    let mut run = run.clone();
    // What has one line of a run goes through the sweep's own hands.
    run.format =
        run.format.filter(|format| matches!(format, FormatArg::Markdown | FormatArg::Junit));
    if run.duration.is_none() && run.requests.is_none() {
        run.duration = Some(DEFAULT_DURATION_NS);
    }
    Ok(run)
}

/// Measured time of the runs of each value, in nanoseconds; empty where a number of requests ends them. Unless the user says
/// how long, a run lasts until it can be expected to have enough answers for a p99, within bounds. What is to be expected of
/// a closed loop is what one request showed, if there was one.
pub(super) fn lengths_ns(loads: &[Load], asked_ns: Option<u64>, seen: Option<&Seen>) -> Vec<u64> {
    if let Some(length_ns) = asked_ns {
        return vec![length_ns; loads.len()];
    }
    if loads.iter().any(|load| load.requests.is_some()) {
        return Vec::new();
    }
    let answer_s = seen.filter(|seen| seen.good).map(|seen| seconds(seen.whole_ns));
    let answer_s = answer_s.filter(|&answer_s| answer_s > 0.0);
    let expected_rps = |load: &Load| match load.pacing.as_ref().and_then(|pacing| pacing.rate) {
        Some(rate) => Some(rate.per_second()),
        None => answer_s.map(|one| f64::from(load.connections) * f64::from(load.pipeline) / one),
    };
    let wanted = float(RESERVE * fewest_samples(0.99));
    let length_ns = |expected_rps: Option<f64>| {
        let wanted_ns = expected_rps.map_or(0, |rps| Nanos::from_seconds(wanted / rps).0);
        let wanted_ns = wanted_ns.clamp(DEFAULT_DURATION_NS, MOST_STRETCH * DEFAULT_DURATION_NS);
        // Whole seconds are easier to read.
        wanted_ns.next_multiple_of(NANOS_PER_SECOND)
    };
    loads.iter().map(expected_rps).map(length_ns).collect()
}

/// How long some runs take with their warm-ups, one of `warmup_ns` each, and the pauses after them, in seconds; `None` where
/// numbers of requests end them.
pub(super) fn whole_s(course: &Course, steps: &[Step], warmup_ns: u64) -> Option<f64> {
    let each = steps.iter().map(|step| course.lengths_ns.get(step.index));
    let each = each.map(|length| length.map(|ns| seconds(ns + warmup_ns + course.pause_ns)));
    each.sum::<Option<f64>>()
}

/// One run that is to be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Step {
    /// Which of the values.
    pub(super) index: usize,
    /// Which run of it, from 1.
    pub(super) repeat: u64,
    /// It is only there to be compared with others like it.
    pub(super) sentinel: bool,
}

/// Every run in its order: all values, and then all again, each time shuffled anew where that is wanted.
pub(super) fn steps(course: &Course, sentinels: bool) -> Vec<Step> {
    let mut random = Random::new(course.seed);
    let mut runs = Vec::with_capacity(course.runs());
    for repeat in 1..=course.repeats {
        let mut order: Vec<usize> = (0..course.values.len()).collect();
        match course.order {
            Order::Up => {}
            Order::Down => order.reverse(),
            Order::Random => random.shuffle(&mut order),
        }
        runs.extend(order.into_iter().map(|index| Step { index, repeat, sentinel: false }));
    }
    if !sentinels {
        return runs;
    }
    let mut seen = 0;
    let mut sentinel = || {
        seen += 1;
        Step { index: 0, repeat: seen, sentinel: true }
    };
    let mut steps = vec![sentinel()];
    for some in runs.chunks(RUNS_BETWEEN) {
        steps.extend_from_slice(some);
        steps.push(sentinel());
    }
    steps
}

/// The word of the command line.
pub(super) const fn order(arg: OrderArg) -> Order {
    match arg {
        OrderArg::Random => Order::Random,
        OrderArg::Up => Order::Up,
        OrderArg::Down => Order::Down,
    }
}

#[cfg(test)]
mod tests {
    use super::{Step, Values, lengths_ns, steps, whole_s};
    use crate::cli::RunArgs;
    use crate::core::schedule::Rate;
    use crate::plan::{Load, Plan};
    use crate::result::summary::{Course, Order, Variable};

    fn course(values: usize, repeats: u64, order: Order, seed: u64) -> Course {
        Course {
            variable: Variable::Rate,
            values: (0..values).map(|index| index as f64).collect(),
            repeats,
            open: true,
            order,
            lengths_ns: vec![5_000_000_000; values],
            pause_ns: 0,
            most_in_flight: None,
            seed,
        }
    }

    fn indices(steps: &[Step]) -> Vec<usize> {
        steps.iter().map(|step| step.index).collect()
    }

    #[test]
    fn every_value_is_run_as_often_as_wanted_in_the_order_that_is_wanted() {
        assert_eq!(indices(&steps(&course(3, 2, Order::Up, 1), false)), [0, 1, 2, 0, 1, 2]);
        assert_eq!(indices(&steps(&course(3, 2, Order::Down, 1), false)), [2, 1, 0, 2, 1, 0]);
        let shuffled = steps(&course(20, 2, Order::Random, 7), false);
        assert_eq!(shuffled, steps(&course(20, 2, Order::Random, 7), false));
        assert_ne!(shuffled, steps(&course(20, 2, Order::Random, 8), false));
        let (first, second) = shuffled.split_at(20);
        assert_ne!(indices(first), indices(second), "each round has an order of its own");
        for round in [first, second] {
            let mut sorted = indices(round);
            sorted.sort_unstable();
            assert_eq!(sorted, (0..20).collect::<Vec<_>>());
        }
    }

    fn rates(rates: &[f64]) -> Values {
        Values::Rates(rates.iter().map(|&rate| Rate::nearest(rate).unwrap()).collect())
    }

    #[test]
    fn runs_at_low_rates_last_until_a_p99_has_enough_answers() {
        let loads = |flags: &[&str], values: &Values| -> Vec<Load> {
            let flags = [&["--dry-run", "-t", "1"], flags].concat();
            let args = RunArgs::from_flags(&flags).unwrap();
            let plan = Plan::build("http://127.0.0.1:9/", &args).unwrap();
            let load = |index| plan.load_of(&values.args(&args, index)).unwrap();
            (0..values.numbers().len()).map(load).collect()
        };
        let plain = loads(&[], &rates(&[10.0, 50.8, 100.0, 800.0]));
        let lengths = lengths_ns(&plain, None, None);
        let lengths: Vec<u64> = lengths.iter().map(|length| length / 1_000_000_000).collect();
        assert_eq!(lengths, [15, 15, 8, 5]);
        // What the user says holds.
        assert_eq!(lengths_ns(&plain, Some(2_000_000_000), None), [2_000_000_000; 4]);
        let counted = loads(&["-n", "100"], &rates(&[10.0, 100.0]));
        assert_eq!(lengths_ns(&counted, None, None), Vec::<u64>::new());
        // A closed loop is as fast as its target, of which nothing is known.
        let connections = Values::Connections(vec![1, 2]);
        assert_eq!(lengths_ns(&loads(&[], &connections), None, None), [5_000_000_000; 2]);
        let open = loads(&["-R", "100"], &connections);
        assert_eq!(lengths_ns(&open, None, None), [8_000_000_000; 2]);
    }

    #[test]
    fn a_sweep_takes_its_runs_their_warm_ups_and_pauses() {
        let course = Course { pause_ns: 500_000_000, ..course(3, 2, Order::Up, 1) };
        let planned = steps(&course, false);
        assert_eq!(whole_s(&course, &planned, 1_000_000_000), Some(39.0));
        assert_eq!(whole_s(&course, &planned[4..], 1_000_000_000), Some(13.0));
        let counted = Course { lengths_ns: Vec::new(), ..course };
        assert_eq!(whole_s(&counted, &planned, 0), None);
    }

    #[test]
    fn a_sentinel_comes_first_after_every_fifth_run_and_last() {
        let places = |values: usize| {
            let steps = steps(&course(values, 1, Order::Down, 1), true);
            let sentinels = steps.iter().enumerate().filter(|(_, step)| step.sentinel);
            let places: Vec<usize> = sentinels.map(|(place, _)| place).collect();
            (places, steps.len())
        };
        assert_eq!(places(12), (vec![0, 6, 12, 15], 16));
        assert_eq!(places(5), (vec![0, 6], 7));
        assert_eq!(places(2), (vec![0, 3], 4));
        let steps = steps(&course(12, 1, Order::Down, 1), true);
        assert!(steps.iter().filter(|step| step.sentinel).all(|step| step.index == 0));
    }
}

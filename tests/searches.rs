//! Searches for the highest load in virtual time: the worker, the schedule and the statistics are those of every run, the
//! server is a queue in memory whose ceiling has a closed form.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use maxq::cli::RunArgs;
use maxq::commands::ceiling::capacity::Goals;
use maxq::commands::ceiling::search::{
    Ending, Search, SearchResult, SearchSettings, Step, Trial, trial_seed,
};
use maxq::core::schedule::Rate;
use maxq::engine::sim::{Deed, Queue, Server};
use maxq::machine::pressure::Held;
use maxq::plan::Plan;
use maxq::run::SimulatedSession;
use maxq::stats::random::Random;
use maxq::time::Nanos;

/// Warm-up, pause and the rest of a trial, in seconds.
const BESIDE_S: f64 = 1.7;
/// The same of a quick search.
const QUICK_BESIDE_S: f64 = 1.2;

fn server(exponential: bool, seed: u64) -> Server {
    Server {
        response: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
        delay_ns: 0,
        queue: Some(Queue::single(1_000_000, exponential)),
        deeds: vec![(Deed::Answer, 1)],
        refused_percent: 0,
        idle_ns: None,
        piece_bytes: 1 << 20,
        mirror: None,
        seed,
        client_stops: None,
        user_stops: None,
    }
}

/// A service of a pool of eight connections, each held for 14.8 ms, with 503 for who waits for 50 ms.
fn service(seed: u64) -> Server {
    let queue =
        Queue { servers: 8, patience_ns: Some(50_000_000), ..Queue::single(14_800_000, false) };
    Server { queue: Some(queue), ..server(false, seed) }
}

/// A search as the command makes it, and how it is disturbed.
struct Kind {
    arrivals: &'static str,
    settings: SearchSettings,
    /// How often the machine is held up, a minute.
    holds_a_minute: f64,
}

/// That of a long search, by Poisson arrivals, on a machine of its own.
fn long() -> Kind {
    let settings = SearchSettings::usual(10.0, BESIDE_S);
    Kind { arrivals: "poisson", settings, holds_a_minute: 0.0 }
}

/// That of the defaults, on a machine that others use, too.
fn quick(arrivals: &'static str) -> Kind {
    let settings = SearchSettings {
        budget_s: 120.0,
        precision: 0.05,
        quick: true,
        verify_s: 10.0,
        ..SearchSettings::usual(5.0, QUICK_BESIDE_S)
    };
    Kind { arrivals, settings, holds_a_minute: 45.0 }
}

/// When the machine is held up in a run of so many seconds, and for how long, in nanoseconds: as a witness saw it here
/// beside two busy neighbors, for 10 to 25 ms at a time, and one in twenty times for up to 0.6 s.
fn holds(random: &mut Random, a_minute: f64, length_s: f64) -> Vec<(u64, u64)> {
    let mut uniform = || (random.below(1 << 30) as f64 + 1.0) / f64::from(1 << 30);
    let mut at_s = 0.0;
    let mut held = Vec::new();
    if a_minute <= 0.0 {
        return held;
    }
    loop {
        at_s -= uniform().ln() * 60.0 / a_minute;
        if at_s > length_s {
            break;
        }
        let (shortest_s, longest_s): (f64, f64) =
            if uniform() < 0.05 { (0.025, 0.6) } else { (0.010, 0.025) };
        let length_s = shortest_s * (longest_s / shortest_s).powf(uniform());
        held.push((Nanos::from_seconds(at_s).0, Nanos::from_seconds(length_s).0));
        at_s += length_s;
    }
    held
}

/// One search with the defaults of the command.
fn search(slo: &str, server: &Server, kind: &Kind, seed: u64) -> SearchResult {
    let seed_text = seed.to_string();
    // Nobody is asked for anything: the plan is for a server in memory.
    let flags = [
        "--dry-run",
        "-t",
        "1",
        "-c",
        "256",
        "--arrivals",
        kind.arrivals,
        "--warmup",
        if kind.settings.quick { "500ms" } else { "1s" },
        "--slo",
        slo,
        "--seed",
        &seed_text,
    ];
    let args = RunArgs::from_flags(&[&flags[..], &["-R", "100"]].concat()).unwrap();
    let base = Plan::build("http://127.0.0.1:9/", &args).unwrap();
    let goals = Goals::new(&base.slo, true);
    let mut search = Search::new(SearchSettings {
        fewest_requests: goals.wanted_requests(),
        limits: goals.limits(),
        seed,
        ..kind.settings.clone()
    });
    let mut random = Random::new(seed);
    let mut session = SimulatedSession::new(server);
    let mut spent_s = 0.0;
    loop {
        let proposal = match search.next() {
            Step::Done(answer) => {
                if std::env::var_os("MAXQ_SHOW_TRIALS").is_some() {
                    for trial in search.trials() {
                        let Trial { proposal, verdict, measures, .. } = trial;
                        let shares: Vec<String> =
                            measures.iter().map(|m| format!("{:.4}", m.share())).collect();
                        println!(
                            "    {:8} {:7.1} {:4.1} s {:14} {}",
                            proposal.purpose.name(),
                            proposal.load,
                            proposal.length_s,
                            format!("{verdict:?}"),
                            shares.join(" ")
                        );
                    }
                    println!("    {:?} {:?} {:?}", answer.ending, answer.ceiling, answer.interval);
                }
                return answer;
            }
            Step::Try(proposal) => proposal,
        };
        let mut args = args.clone();
        args.rate = Rate::nearest(proposal.load);
        args.duration = Some(Nanos::from_seconds(proposal.length_s).0);
        args.drain = 1_000_000_000;
        let load = base.load_of(&args).unwrap();
        let plan = base.with_load(load).unwrap();
        let plan = plan.with_seed(trial_seed(seed, search.trials().len())).unwrap();
        let warmup_ns = plan.load.warmup_ns;
        let held = holds(&mut random, kind.holds_a_minute, proposal.length_s + 1.0);
        let summary = session.run_held_up(&plan, &held);
        spent_s += proposal.length_s + kind.settings.beside_s;
        let start = Nanos(summary.origin.0 - warmup_ns);
        let seen: Vec<Held> = held
            .iter()
            .map(|&(at, ns)| Held { from: start.plus(at), to: start.plus(at + ns) })
            .collect();
        search.record(goals.judge(&plan, &summary, proposal, &seen), spent_s);
    }
}

/// So many searches of each kind: `scripts/torture searches` makes a hundred with an optimized build.
fn searches() -> u64 {
    std::env::var("MAXQ_SEARCHES").map_or(2, |number| number.parse().unwrap())
}

/// How far a search was off in percent, and whether its interval holds the truth.
fn judge(answer: &SearchResult, truth: f64) -> (f64, bool) {
    // A search that found nothing is as wrong as one that found something else.
    let holds = answer.ending == Ending::Found
        && answer.interval.is_some_and(|(low, high)| (low..=high).contains(&truth));
    (answer.ceiling.map_or(-100.0, |ceiling| (ceiling / truth - 1.0) * 100.0), holds)
}

/// Searches with little time, on a disturbed machine; nine in ten must be within 10 % of the truth.
fn check_quick(what: &str, slo: &str, kind: &Kind, server: impl Fn(u64) -> Server, truth: f64) {
    let answers: Vec<SearchResult> =
        (0..searches()).map(|seed| search(slo, &server(seed * 7919 + 1), kind, seed)).collect();
    let found: Vec<(f64, bool)> = answers.iter().map(|answer| judge(answer, truth)).collect();
    let count = found.len();
    let of = |holds: &dyn Fn(&SearchResult, f64, bool) -> bool| {
        let each = answers.iter().zip(&found);
        each.filter(|(answer, (off, covered))| holds(answer, *off, *covered)).count()
    };
    let verified = of(&|answer, _, _| answer.verified);
    let close = of(&|answer, off, _| answer.ending == Ending::Found && off.abs() <= 10.0);
    let covered = of(&|_, _, covered| covered);
    let wrong = of(&|answer, off, _| answer.verified && off.abs() > 10.0);
    println!(
        "{what}, {slo}: truth {truth:.1}; of {count} searches {close} are within 10 %, {covered} intervals hold it, {verified} are verified, {wrong} of them are off by more than 10 %"
    );
    for (answer, (off, _)) in answers.iter().zip(&found) {
        if answer.ending != Ending::Found || off.abs() > 10.0 {
            println!("  {:?} {:?} {:?} {off:.1} %", answer.ending, answer.ceiling, answer.interval);
        }
    }
    let fewest = (count * 9 / 10).min(count - 1);
    assert!(close >= fewest, "{close} of {count}");
    assert!(wrong * 20 <= count, "{wrong} wrong answers are said to be verified");
}

/// Searches a queue again and again; nine in ten must be within 2 % of the truth, and hold it in their interval.
fn check(what: &str, slo: &str, exponential: bool, truth: f64) {
    let answers: Vec<SearchResult> = (0..searches())
        .map(|seed| search(slo, &server(exponential, seed * 7919 + 1), &long(), seed))
        .collect();
    let accused = answers.iter().filter(|answer| answer.change.is_some()).count();
    assert!(accused * 100 <= answers.len(), "{accused} are told that their target has changed");
    let found: Vec<(f64, bool)> = answers.iter().map(|answer| judge(answer, truth)).collect();
    let count = found.len();
    let covered = found.iter().filter(|(_, holds)| *holds).count();
    let close = found.iter().filter(|(off, _)| off.abs() <= 2.0).count();
    let squares: f64 = found.iter().map(|(off, _)| off * off).sum();
    let largest = found.iter().map(|(off, _)| off.abs()).fold(0.0, f64::max);
    println!(
        "{what}, {slo}: truth {truth:.1}; of {count} searches {covered} intervals hold it, {close} are within 2 %; root mean square {:.2} %, largest {largest:.2} %",
        (squares / count as f64).sqrt()
    );
    // Of a few searches one may miss by chance.
    let fewest = (count * 9 / 10).min(count - 1);
    assert!(covered >= fewest && close >= fewest, "{covered} and {close} of {count}");
}

#[test]
fn the_ceiling_of_an_mm1_queue_is_that_of_the_closed_form() {
    // Response times are exponential with mean 1 / (1000 - load).
    check("M/M/1", "p95<20ms", true, 1000.0 - 20_f64.ln() / 0.02);
}

#[test]
fn the_ceiling_of_an_md1_queue_is_that_of_the_closed_form() {
    // By Erlang's formula, at which 1 % wait for more than 9 service times.
    check("M/D/1", "p99<10ms", false, 773.5);
}

#[test]
fn a_quick_search_of_a_service_finds_what_its_pool_can_do_on_a_disturbed_machine() {
    // One in a hundred may be turned away.
    let truth = 8.0 / 0.0148 / 0.99;
    check_quick("a pool of eight", "p95<200ms, errors<1%", &quick("uniform"), service, truth);
}

#[test]
fn a_quick_search_of_a_queue_is_within_a_tenth_on_a_disturbed_machine() {
    let mm1 = |seed: u64| server(true, seed);
    check_quick("M/M/1", "p95<20ms", &quick("poisson"), mm1, 1000.0 - 20_f64.ln() / 0.02);
    let md1 = |seed: u64| server(false, seed);
    check_quick("M/D/1", "p99<20ms", &quick("poisson"), md1, 885.6);
}

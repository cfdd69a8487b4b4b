//! Searches for the highest load in virtual time: the worker, the schedule and the statistics are those of every run, the
//! server is a queue in memory whose ceiling has a closed form.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use maxq::analysis::ceiling::{Answer, Ending, Search, Settings, Step, trial_seed};
use maxq::capacity::Goals;
use maxq::cli::RunArgs;
use maxq::engine::sim::{Deed, Queue, Server};
use maxq::plan::Plan;
use maxq::run::SimulatedSession;
use maxq::schedule::Rate;
use maxq::time::Nanos;

/// Warm-up, pause and the rest of a trial, in seconds.
const BESIDE_S: f64 = 1.7;

fn server(exponential: bool, seed: u64) -> Server {
    Server {
        response: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
        delay_ns: 0,
        queue: Some(Queue { mean_ns: 1_000_000, exponential }),
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

/// One search with the defaults of the command, by Poisson arrivals.
fn search(slo: &str, server: &Server, seed: u64) -> Answer {
    let seed_text = seed.to_string();
    // Nobody is asked for anything: the plan is for a server in memory.
    let flags = [
        "--dry-run",
        "-t",
        "1",
        "-c",
        "256",
        "--arrivals",
        "poisson",
        "--slo",
        slo,
        "--seed",
        &seed_text,
    ];
    let args = RunArgs::from_flags(&[&flags[..], &["-R", "100"]].concat()).unwrap();
    let base = Plan::build("http://127.0.0.1:9/", &args).unwrap();
    let goals = Goals::new(&base.slo, true);
    let mut search = Search::new(Settings {
        fewest_requests: goals.wanted_requests(),
        limits: goals.limits(),
        seed,
        ..Settings::usual(10.0, BESIDE_S)
    });
    let mut session = SimulatedSession::new(server);
    let mut spent_s = 0.0;
    loop {
        let proposal = match search.next() {
            Step::Done(answer) => return answer,
            Step::Try(proposal) => proposal,
        };
        let mut args = args.clone();
        args.rate = Rate::nearest(proposal.load);
        args.duration = Some(Nanos::from_seconds(proposal.length_s).0);
        args.drain = 1_000_000_000;
        args.seed = Some(trial_seed(seed, search.trials().len()));
        let plan = base.with_load(&args).unwrap();
        let summary = session.run(&plan);
        spent_s += proposal.length_s + BESIDE_S;
        search.record(goals.judge(&plan, &summary, proposal), spent_s);
    }
}

/// So many searches of each kind: `scripts/torture searches` makes a hundred with an optimized build.
fn searches() -> u64 {
    std::env::var("MAXQ_SEARCHES").map_or(2, |number| number.parse().unwrap())
}

/// How far a search was off in percent, and whether its interval holds the truth.
fn judge(answer: &Answer, truth: f64) -> (f64, bool) {
    // A search that found nothing is as wrong as one that found something else.
    let holds = answer.ending == Ending::Found
        && answer.interval.is_some_and(|(low, high)| (low..=high).contains(&truth));
    (answer.ceiling.map_or(-100.0, |ceiling| (ceiling / truth - 1.0) * 100.0), holds)
}

/// Searches a queue again and again; nine in ten must be within 2 % of the truth, and hold it in their interval.
fn check(what: &str, slo: &str, exponential: bool, truth: f64) {
    let answers: Vec<Answer> = (0..searches())
        .map(|seed| search(slo, &server(exponential, seed * 7919 + 1), seed))
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

//! Is this measurement valid, and who was the bottleneck? Pure over a merged record.

use crate::failure::Phase;
use crate::plan::Plan;
use crate::record::Record;
use crate::summary::{Client, Latencies, fewest_samples, work_share};

/// The answer, in the order in which the first that holds is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Code {
    /// The workers had no time left: the server may do more.
    ClientLimited,
    /// Too few connections were open to offer what was asked.
    ConnectionLimited,
    /// Too few responses for the quantiles asked of them.
    InsufficientSamples,
    /// The workers waited for the server.
    ServerLimited,
    /// Nothing speaks against it.
    Valid,
}

impl Code {
    /// The stable name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientLimited => "client_limited",
            Self::ConnectionLimited => "connection_limited",
            Self::InsufficientSamples => "insufficient_samples",
            Self::ServerLimited => "server_limited",
            Self::Valid => "valid",
        }
    }
}

/// How much a reason weighs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Look twice.
    Warn,
    /// The numbers do not mean what they seem to.
    Invalid,
}

impl Level {
    /// The stable name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Invalid => "invalid",
        }
    }
}

/// One rule that fired, with its evidence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reason {
    /// Stable short name of the rule.
    pub rule: &'static str,
    /// How much it weighs.
    pub level: Level,
    /// The evidence in a sentence.
    pub text: String,
}

/// The verdict on a run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// The first code that holds.
    pub code: Code,
    /// Whether the numbers mean what they seem to.
    pub valid: bool,
    /// One sentence for people.
    pub sentence: String,
    /// All rules that fired.
    pub reasons: Vec<Reason>,
}

/// From this share of its time on, a worker counts as saturated.
const SATURATED_SHARE: f64 = 0.95;

/// Judges a closed loop.
#[must_use]
pub fn judge(plan: &Plan, record: &Record, client: &Client, latencies: &Latencies) -> Verdict {
    let busiest = client.workers.iter().map(work_share).fold(0.0, f64::max);
    let reasons = reasons(plan, record, busiest);
    let connections = &record.connections;
    let samples = latencies.service.count();
    let needed = fewest_samples(0.99);
    let (code, sentence) = if busiest >= SATURATED_SHARE {
        let share = percent(busiest);
        (
            Code::ClientLimited,
            format!(
                "the busiest worker worked {share} of the time: the server may do more than this"
            ),
        )
    } else if connections.opened < connections.asked {
        let (opened, asked) = (connections.opened, connections.asked);
        (Code::ConnectionLimited, format!("only {opened} of {asked} connections could be opened"))
    } else if samples < needed {
        (
            Code::InsufficientSamples,
            format!("{samples} responses are too few for a p99, which needs {needed}"),
        )
    } else {
        let share = percent(1.0 - busiest);
        (Code::ServerLimited, format!("the workers waited for the server {share} of the time"))
    };
    // A saturated worker is no fault in a closed loop: it is what the load was limited by.
    let valid = reasons.iter().all(|reason| reason.level != Level::Invalid)
        && !matches!(code, Code::ConnectionLimited | Code::InsufficientSamples);
    Verdict { code, valid, sentence, reasons }
}

fn reasons(plan: &Plan, record: &Record, busiest: f64) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut add = |rule, level, text| reasons.push(Reason { rule, level, text });
    if busiest >= SATURATED_SHARE {
        let remedy = if plan.same_host {
            "a target on another host leaves it more cores"
        } else {
            "more threads (-t) can do more"
        };
        add("C3", Level::Warn, format!("the client is the limit; {remedy}"));
    }
    let counts = &record.measured.counts;
    let bad = counts.sent - counts.ok;
    if bad > 0 {
        let sent = counts.sent;
        add(
            "E1",
            Level::Warn,
            format!(
                "{bad} of {sent} requests got no good response: rates and latencies are of errors too"
            ),
        );
    }
    let lost = record.client.completions_lost;
    if lost > 0 {
        add("C4", Level::Invalid, format!("the kernel lost {lost} completions for want of memory"));
    }
    let overflowed = record.client.completions_overflowed;
    if overflowed > 0 {
        add("C4", Level::Warn, format!("the completion queue overflowed in {overflowed} turns"));
    }
    let refused: u64 = record
        .errors
        .rows()
        .iter()
        .filter(|row| row.failure.phase == Phase::Environment)
        .map(|row| row.count)
        .sum();
    if refused > 0 {
        add(
            "C8",
            Level::Invalid,
            format!(
                "this machine refused {refused} operations (see errors): not the server's doing"
            ),
        );
    }
    if plan.same_host {
        add(
            "C9",
            Level::Info,
            "the target runs on this host and shares its cores and caches".to_owned(),
        );
    }
    reasons
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

//! The rules: each looks at one sign and says what it found, with its numbers.
//!
//! `C` rules are about the client and its machine, `W` about the run itself, `S` about the server and the network, `E`
//! about errors; `T`, about a target that was not there, are in `target`, and what changed over the run is in `drift`. `O1`, about output files, is none of a
//! measurement: the summary takes note of it afterwards. Thresholds were set against clients that were starved on
//! purpose: a CPU quota, a competitor on the same core, a stopped process; see `tests/accuracy`.

use super::bound::Effect;
use super::{Evidence, SATURATED_SHARE, milliseconds, percent};
use crate::core::failure::Phase;
use crate::result::verdict::{Level, Reason, Rule};
use crate::time::seconds;
use crate::units::significant;

/// Client lag above this is worth a warning.
const LAG_WARN_NS: u64 = 100_000;
/// A single lag above this is.
const LONGEST_LAG_WARN_NS: u64 = 10_000_000;
/// Client lag below this never makes a run invalid: a sleeping core takes as long to wake up.
const LAG_INVALID_NS: u64 = 1_000_000;
/// A turn of the loop above this is slow.
const TURN_WARN_NS: u64 = 1_000_000;
/// A client without a schedule that was away for so long at once, and for a twentieth of the run in all, did not measure
/// what it says it did: its rates are too low by that much. Sharing a core does not do that; being stopped does.
const STOPPED_NS: u64 = 100_000_000;
/// Reading the clock above this is slow.
const CLOCK_WARN_NS: u64 = 200;

/// Everything that fired.
pub(super) fn all(evidence: &Evidence<'_>) -> Vec<Reason> {
    [
        client_lag,
        away,
        behind_schedule,
        saturated,
        slow_turns,
        taken_away,
        late_looks,
        connections,
        refused,
        same_host,
        clock,
        near_ceiling,
        super::drift::all,
        network,
        bad_responses,
        super::target::all,
    ]
    .into_iter()
    .flat_map(|rule| rule(evidence))
    .collect()
}

fn found(rule: Rule, level: Level, text: String) -> Vec<Reason> {
    vec![Reason { rule, level, text }]
}

/// C1: the client sent late or looked late. It is invalid only where that can have moved a figure that is shown.
fn client_lag(evidence: &Evidence<'_>) -> Vec<Reason> {
    let Some(lags) = &evidence.latencies.lags else { return Vec::new() };
    let p99 = lags.client.all.quantile_ns(0.99).unwrap_or(0);
    let longest = lags.client.all.max_ns().unwrap_or(0);
    let response = evidence.latencies.response.all.quantile_ns(0.99).unwrap_or(0);
    let (lag, whole) = (milliseconds(p99), milliseconds(response));
    let mut text = if p99 > LAG_INVALID_NS.max(response / 5) {
        format!("the client was late itself: its p99 lag is {lag} of a p99 response of {whole}")
    } else if owns_longest(evidence) {
        let stalled = evidence.client.together().late_ns;
        let at_s = evidence.client.together().late_at.seconds_from(evidence.origin);
        let mut text = format!("the client itself was up to {} late", milliseconds(longest));
        if stalled > 0 {
            text +=
                &format!("; it was away for {} at {at_s:.2} s of the run", milliseconds(stalled));
        }
        text
    } else if p99 > LAG_WARN_NS.max(response / 20) || longest > LONGEST_LAG_WARN_NS {
        let text = format!(
            "client lag is {lag} at p99 of a p99 response of {whole}, and {} at most",
            milliseconds(longest)
        );
        return found(Rule::ClientLag, Level::Warn, text);
    } else {
        return Vec::new();
    };
    let effect = Effect::of(evidence, 0.0);
    text += &effect.text();
    found(Rule::ClientLag, if effect.is_material() { Level::Invalid } else { Level::Warn }, text)
}

/// Whether the longest response time is as long as it is because the client was late.
pub(super) fn owns_longest(evidence: &Evidence<'_>) -> bool {
    let lags = evidence.latencies.lags.as_ref();
    let longest = lags.and_then(|lags| lags.client.all.max_ns()).unwrap_or(0);
    longest > LONGEST_LAG_WARN_NS && longest > share_of_longest(evidence)
}

/// C1 without a schedule: the client was away, and asked for nothing meanwhile.
fn away(evidence: &Evidence<'_>) -> Vec<Reason> {
    let together = evidence.client.together();
    if evidence.is_open() || together.away_ns == 0 {
        return Vec::new();
    }
    let (longest, whole) = (milliseconds(together.late_ns), milliseconds(together.away_ns));
    let at_s = together.late_at.seconds_from(evidence.origin);
    let workers = &evidence.client.workers;
    let wall_ns: u64 = workers.iter().map(|worker| worker.wall_ns).sum();
    let is_stopped = together.late_ns >= STOPPED_NS && together.away_ns > wall_ns / 20;
    let level = if is_stopped { Level::Invalid } else { Level::Warn };
    let here = 1.0 - crate::result::summary::share(together.away_ns, wall_ns.max(1)).min(0.999);
    let rate = evidence.rates().achieved_rps;
    let text = format!(
        "the client itself was away for {longest} at {at_s:.2} s of the run, and for {whole} in all: it sent nothing \
         meanwhile, and that time is not in the latencies; without that, the rate would be {} instead of {}",
        significant(rate / here, 0),
        significant(rate, 0)
    );
    found(Rule::ClientLag, level, text)
}

/// A lag that is a fifth of the longest response makes that response the client's own.
fn share_of_longest(evidence: &Evidence<'_>) -> u64 {
    evidence.latencies.response.all.max_ns().unwrap_or(0) / 5
}

/// C2: requests were not sent in time although connections were free.
#[expect(clippy::cast_precision_loss, reason = "shares are shown with few digits")]
fn behind_schedule(evidence: &Evidence<'_>) -> Vec<Reason> {
    let Some(lags) = &evidence.latencies.lags else { return Vec::new() };
    let (scheduled, sent) = (evidence.measured.counts.scheduled, evidence.measured.sent_in_window);
    // What found no connection could not be sent. A few that were due at the very end do not count.
    let unsent = &evidence.measured.unsent;
    // A worker without time does not see which connections are free.
    let left = if evidence.busiest() < SATURATED_SHARE { unsent.left } else { 0 };
    let short = scheduled.saturating_sub(sent + unsent.shed + unsent.expired + left);
    if short * 1000 <= scheduled
        || short < 10
        || evidence.end != crate::result::summary::End::Finished
    {
        return Vec::new();
    }
    let mean = |lag: &crate::result::summary::Distribution| lag.all.mean_ns().unwrap_or(0.0);
    if mean(&lags.client) < mean(&lags.pool) && evidence.busiest() < SATURATED_SHARE {
        return Vec::new();
    }
    let share = sent as f64 / scheduled as f64;
    found(
        Rule::BehindSchedule,
        Level::Invalid,
        format!("the client could send only {:.1} % of what was due in time", share * 100.0),
    )
}

/// What gives the workers more time.
fn remedy(evidence: &Evidence<'_>) -> &'static str {
    if evidence.asked.same_host {
        "a target on another host leaves it more cores"
    } else {
        "more threads (-t) can do more"
    }
}

/// That a closed loop could not ask for more.
pub(super) fn limit(evidence: &Evidence<'_>) -> String {
    format!(
        "the client was the limit (busy {} of the time), and the server may do more; {}",
        percent(evidence.busiest()),
        remedy(evidence)
    )
}

/// C3: the workers had no time left.
fn saturated(evidence: &Evidence<'_>) -> Vec<Reason> {
    const BUSY_SHARE: f64 = 0.8;
    let busiest = evidence.busiest();
    let remedy = remedy(evidence);
    let late = || {
        let lags = evidence.latencies.lags.as_ref();
        let lag = lags.and_then(|lags| lags.client.all.quantile_ns(0.99)).unwrap_or(0);
        lag > LAG_WARN_NS || !behind_schedule(evidence).is_empty()
    };
    if busiest >= SATURATED_SHARE && evidence.is_open() && late() {
        let text = format!(
            "the busiest worker worked {} of the time and could not keep the schedule; {remedy}",
            percent(busiest)
        );
        return found(Rule::Saturated, Level::Invalid, text);
    }
    if busiest >= SATURATED_SHARE && !evidence.is_open() {
        return found(Rule::Saturated, Level::Warn, limit(evidence));
    }
    if busiest >= BUSY_SHARE && evidence.is_open() {
        let text = format!("the busiest worker worked {} of the time; {remedy}", percent(busiest));
        return found(Rule::Saturated, Level::Warn, text);
    }
    Vec::new()
}

/// C4: the loop was slow, or the kernel lost completions.
fn slow_turns(evidence: &Evidence<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let slow = evidence.record.turns.quantile_ns(0.999).filter(|&ns| ns > TURN_WARN_NS);
    if let Some(slow) = slow.filter(|_| evidence.is_open()) {
        let text =
            format!("one in a thousand turns of the client's loop took {}", milliseconds(slow));
        reasons.extend(found(Rule::SlowTurns, Level::Warn, text));
    }
    let lost = evidence.record.client.completions_lost;
    if lost > 0 {
        let text = format!("the kernel lost {lost} completions for want of memory");
        reasons.extend(found(Rule::SlowTurns, Level::Invalid, text));
    }
    let overflowed = evidence.record.client.completions_overflowed;
    if overflowed > 0 {
        let text = format!("the completion queue overflowed in {overflowed} turns");
        reasons.extend(found(Rule::SlowTurns, Level::Warn, text));
    }
    reasons
}

/// C5: somebody else had the client's cores.
#[expect(clippy::cast_precision_loss, reason = "rates are shown with few digits")]
fn taken_away(evidence: &Evidence<'_>) -> Vec<Reason> {
    const SWITCHES_PER_SECOND: f64 = 50.0;
    const STOLEN_SHARE: f64 = 0.01;
    const WAITING_SHARE: f64 = 0.5;
    /// What the kernel takes where nobody says otherwise.
    const QUOTA_PERIOD_NS: u64 = 100_000_000;
    let mut reasons = Vec::new();
    let pressure = evidence.pressure;
    if let Some(periods) = pressure.throttled_periods.filter(|&periods| periods > 0) {
        // A stop of a few milliseconds is in no lag: every request of such a period may have been held up.
        let hit_share =
            crate::result::summary::share(periods * QUOTA_PERIOD_NS, evidence.measured_ns);
        let effect = Effect::of(evidence, hit_share.min(1.0));
        let text = format!(
            "the CPU quota of this process's control group was used up in {periods} periods: raise it, or offer less{}",
            effect.text()
        );
        let is_invalid = evidence.is_open() && effect.is_material();
        reasons.extend(found(
            Rule::TakenAway,
            if is_invalid { Level::Invalid } else { Level::Warn },
            text,
        ));
    }
    if let Some(share) = pressure.stolen_share.filter(|&share| share > STOLEN_SHARE) {
        let text = format!("the hypervisor took {:.1} % of the time of the cores", share * 100.0);
        reasons.extend(found(Rule::TakenAway, Level::Warn, text));
    }
    let switches = |worker: &crate::core::record::ClientTally| {
        worker.involuntary_switches as f64 / seconds(worker.wall_ns).max(1e-9)
    };
    let most = evidence.client.workers.iter().map(switches).fold(0.0, f64::max);
    let delayed = evidence
        .client
        .workers
        .iter()
        .map(|worker| worker.delayed_ns as f64 / worker.wall_ns.max(1) as f64)
        .fold(0.0, f64::max);
    // Threads of the kernel come and go without taking much.
    if most > SWITCHES_PER_SECOND && delayed > 0.01 {
        let text = format!(
            "a worker was taken from its core {} times a second and waited {:.1} % of the time for it",
            significant(most, 0),
            delayed * 100.0
        );
        reasons.extend(found(Rule::TakenAway, Level::Warn, text));
    }
    if let Some(share) = pressure.waiting_share.filter(|&share| share > WAITING_SHARE) {
        let text = format!("something waited for a core {:.0} % of the last 10 s", share * 100.0);
        reasons.extend(found(Rule::TakenAway, Level::Info, text));
    }
    reasons
}

/// C6: the client looked at its ring much later than it wanted to.
fn late_looks(evidence: &Evidence<'_>) -> Vec<Reason> {
    const HICCUP_NS: u64 = 2_000_000;
    let together = evidence.client.together();
    if together.late_ns <= HICCUP_NS || !evidence.is_open() {
        return Vec::new();
    }
    let at_s = together.late_at.seconds_from(evidence.origin);
    let hit_share = crate::result::summary::share(together.late_ns, evidence.measured_ns).min(1.0);
    let effect = Effect::of(evidence, hit_share);
    let text = format!(
        "the client came {} late at {at_s:.2} s of the run: latencies of that moment are its own{}",
        milliseconds(together.late_ns),
        effect.text()
    );
    found(Rule::LateLook, if effect.is_material() { Level::Warn } else { Level::Info }, text)
}

/// C7: requests waited for a connection.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of connections"
)]
fn connections(evidence: &Evidence<'_>) -> Vec<Reason> {
    let Some(lags) = &evidence.latencies.lags else { return Vec::new() };
    let response = evidence.latencies.response.all.quantile_ns(0.99).unwrap_or(0);
    let waited = lags.pool.all.quantile_ns(0.99).unwrap_or(0);
    let unsent = evidence.measured.unsent.total() - evidence.measured.unsent.late;
    if waited <= response / 20 && unsent == 0 {
        return Vec::new();
    }
    let service = evidence.latencies.service.all.quantile_ns(0.99).unwrap_or(0);
    let needed = (evidence.rates().offered_rps * seconds(service)).ceil() as u64;
    let asked = evidence.asked.connections;
    let mut text = if waited > response / 20 {
        let (waited, response) = (milliseconds(waited), milliseconds(response));
        format!(
            "p99 of the wait for a free connection is {waited}, of a p99 response of {response}"
        )
    } else {
        "connections were all taken at times".to_owned()
    };
    if needed > u64::from(asked) {
        text += &format!(
            "; about {needed} connections (-c) keep this rate at the present service time"
        );
    }
    if unsent > 0 {
        text += &format!("; {unsent} requests found none and were never sent");
    }
    found(Rule::NoConnectionFree, Level::Warn, text)
}

/// C8: this machine refused operations.
fn refused(evidence: &Evidence<'_>) -> Vec<Reason> {
    let rows = evidence.record.errors.rows().iter();
    let refused: u64 =
        rows.filter(|row| row.failure.phase == Phase::Environment).map(|row| row.count).sum();
    if refused == 0 {
        return Vec::new();
    }
    let text =
        format!("this machine refused {refused} operations (see errors): not the server's doing");
    found(Rule::Refused, Level::Invalid, text)
}

/// C9: client and target share a host.
fn same_host(evidence: &Evidence<'_>) -> Vec<Reason> {
    if !evidence.asked.same_host {
        return Vec::new();
    }
    let text = "the target runs on this host and shares its cores and caches".to_owned();
    found(Rule::SameHost, Level::Info, text)
}

/// C10: the clock is slow.
fn clock(evidence: &Evidence<'_>) -> Vec<Reason> {
    let slow = evidence.client.clock_read_ns;
    if slow <= CLOCK_WARN_NS {
        return Vec::new();
    }
    let source = evidence.host.clocksource.as_deref().unwrap_or("unknown");
    let text = format!("reading the clock takes {slow} ns (clock source {source})");
    found(Rule::SlowClock, Level::Warn, text)
}

/// C11: the offered rate is close to what this client can do here.
#[expect(clippy::cast_precision_loss, reason = "a number of threads")]
fn near_ceiling(evidence: &Evidence<'_>) -> Vec<Reason> {
    const SAFE_SHARE: f64 = 0.7;
    let Some(calibration) = evidence.calibration.filter(|_| evidence.is_open()) else {
        return Vec::new();
    };
    let ceiling = calibration.ceiling_rps * evidence.asked.threads as f64;
    let offered = evidence.rates().offered_rps;
    if offered <= SAFE_SHARE * ceiling {
        return Vec::new();
    }
    let text = format!(
        "{} requests a second are more than 70 % of the {} that this client reached here against an empty server (maxq calibrate)",
        significant(offered, 0),
        significant(ceiling, 0)
    );
    found(Rule::NearCeiling, Level::Warn, text)
}

/// S1, S2: what the network and the server did.
fn network(evidence: &Evidence<'_>) -> Vec<Reason> {
    const OF_ALL_REQUESTS: u64 = 1000;
    let mut reasons = Vec::new();
    let sent = evidence.measured.counts.sent;
    if let Some(again) =
        evidence.pressure.retransmits.filter(|&n| n * OF_ALL_REQUESTS > sent && n > 10)
    {
        let text =
            format!("this host sent {again} TCP segments again: packets were lost or held up");
        reasons.extend(found(Rule::Retransmits, Level::Info, text));
    }
    if let Some(turned) = evidence.pressure.listen_overflows.filter(|&turned| turned > 0) {
        let text = format!("a listener of this host had no room for {turned} connections");
        reasons.extend(found(Rule::ListenOverflows, Level::Info, text));
    }
    reasons
}

/// E1: not everything went well.
fn bad_responses(evidence: &Evidence<'_>) -> Vec<Reason> {
    let counts = &evidence.measured.counts;
    let bad = counts.sent - counts.ok;
    if bad == 0 {
        return Vec::new();
    }
    let sent = counts.sent;
    let text = format!(
        "{bad} of {sent} requests got no good response: rates and latencies are of errors too"
    );
    found(Rule::BadResponses, Level::Warn, text)
}

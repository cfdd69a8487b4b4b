//! Laws: behaviours whose latencies are known in closed form, so that a load generator can be checked against them.
//!
//! Pure: given the number of a request and when it was received, a law says what becomes of it and when. Queues are in
//! virtual time: nobody computes anything, the answer simply leaves when a server would have been done. It must not
//! know sockets, threads or clocks.

use super::route::{digits, duration};

/// Parts of one, as probabilities are counted.
const MILLION: u64 = 1_000_000;

/// Longest time that a law takes, in nanoseconds.
const MOST_TIME_NS: u64 = 3_600_000_000_000;

/// One of the laws with its parameters; times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Law {
    /// 200 while there are tokens, 503 otherwise.
    Bucket { rate: u64, burst: u64 },
    /// Each request for itself.
    Fixed { delay_ns: u64 },
    /// One server, first come, first served; always as long.
    Deterministic { service_ns: u64 },
    /// One server, first come, first served; exponentially distributed.
    Exponential { mean_ns: u64, seed: u64 },
    /// Every so many-th request is slow, each for itself.
    Mixture { fast_ns: u64, slow_ns: u64, every: u64 },
    /// Faults drawn by number of the request.
    Script(Script),
    /// Every so many-th request is never answered.
    Silent { delay_ns: u64, every: u64 },
    /// Nothing is answered in the last `stall_ns` of each period.
    Stall { delay_ns: u64, stall_ns: u64, every_ns: u64 },
}

/// Probabilities of faults, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Script {
    seed: u64,
    delay_ns: u64,
    busy: u64,
    reset: u64,
    truncated: u64,
    garbage: u64,
    close: u64,
    silent: u64,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// 200.
    Answer,
    /// 503.
    Busy,
    /// Closed in order without an answer.
    Close,
    /// Bytes that are no HTTP, then closed.
    Garbage,
    /// A reset.
    Reset,
    /// Never answered; nor is anything behind it on the connection.
    Silent,
    /// Half of an answer, then closed.
    Truncate,
}

/// A law as a request asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) law: Law,
    /// The answer carries what the server knows of it.
    pub(super) stamps: bool,
}

/// What a law decided about one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) number: u64,
    pub(super) deed: Deed,
    /// When it happens.
    pub(super) at_ns: u64,
    /// How long a server was busy with it.
    pub(super) service_ns: u64,
}

/// Where a law stands: a few numbers, however many requests came.
#[derive(Clone, Debug, Default)]
pub(super) struct LawState {
    next: u64,
    first_ns: u64,
    /// When the one server will be idle.
    free_at_ns: u64,
    /// Requests that the bucket has let through.
    let_through: u64,
}

impl Law {
    /// Reads a law's name and query.
    pub(super) fn parse(name: &str, query: &str) -> Result<Asked, &'static str> {
        let values = Values::read(query)?;
        let law = match name {
            "bucket" => Self::Bucket { rate: values.count("rate")?, burst: values.count("burst")? },
            "fixed" => Self::Fixed { delay_ns: values.time("d")? },
            "md1" => Self::Deterministic { service_ns: values.time("d")? },
            "mm1" => Self::Exponential { mean_ns: values.time("mean")?, seed: values.seed()? },
            "mixture" => Self::Mixture {
                fast_ns: values.time("fast")?,
                slow_ns: values.time("slow")?,
                every: values.count("every")?,
            },
            "script" => Self::Script(values.script()?),
            "silent" => Self::Silent { delay_ns: values.time("d")?, every: values.count("every")? },
            "stall" => {
                let (stall_ns, every_ns) = (values.time("stall")?, values.time("every")?);
                if stall_ns >= every_ns {
                    return Err("stall: it must be shorter than every");
                }
                Self::Stall { delay_ns: values.time("d")?, stall_ns, every_ns }
            }
            _ => return Err("no such law: bucket fixed md1 mm1 mixture script silent stall"),
        };
        values.all_known(&law)?;
        Ok(Asked { law, stamps: values.text("stamps").is_some_and(|value| value == "1") })
    }

    /// Names of the parameters that it takes, beside `stamps` and `run`.
    fn parameters(&self) -> &'static [&'static str] {
        match self {
            Self::Bucket { .. } => &["rate", "burst"],
            Self::Deterministic { .. } | Self::Fixed { .. } => &["d"],
            Self::Exponential { .. } => &["mean", "seed"],
            Self::Mixture { .. } => &["fast", "slow", "every"],
            Self::Script(_) => {
                &["seed", "d", "p503", "preset", "ptruncated", "pgarbage", "pclose", "psilent"]
            }
            Self::Silent { .. } => &["d", "every"],
            Self::Stall { .. } => &["d", "stall", "every"],
        }
    }
}

impl LawState {
    /// What becomes of the request that was received now.
    pub(super) fn decide(&mut self, law: &Law, received_ns: u64) -> Decision {
        let number = self.next;
        self.next += 1;
        if number == 0 {
            self.first_ns = received_ns;
        }
        let (deed, at_ns, service_ns) = match *law {
            Law::Bucket { rate, burst } => {
                (self.draw_token(rate, burst, received_ns), received_ns, 0)
            }
            Law::Fixed { delay_ns } => (Deed::Answer, received_ns + delay_ns, delay_ns),
            Law::Deterministic { service_ns } => self.queue(received_ns, service_ns),
            Law::Exponential { mean_ns, seed } => {
                self.queue(received_ns, service_draw_ns(seed, number, mean_ns))
            }
            Law::Mixture { fast_ns, slow_ns, every } => {
                let delay_ns = if number.is_multiple_of(every) { slow_ns } else { fast_ns };
                (Deed::Answer, received_ns + delay_ns, delay_ns)
            }
            Law::Script(script) => {
                (script.draw(number), received_ns + script.delay_ns, script.delay_ns)
            }
            Law::Silent { delay_ns, every } => {
                let deed = if number.is_multiple_of(every) { Deed::Silent } else { Deed::Answer };
                (deed, received_ns + delay_ns, delay_ns)
            }
            Law::Stall { delay_ns, stall_ns, every_ns } => {
                let since_first = (received_ns + delay_ns).saturating_sub(self.first_ns);
                let into = since_first % every_ns;
                let wait_ns = if into >= every_ns - stall_ns { every_ns - into } else { 0 };
                (Deed::Answer, received_ns + delay_ns + wait_ns, delay_ns)
            }
        };
        Decision { number, deed, at_ns, service_ns }
    }

    fn queue(&mut self, received_ns: u64, service_ns: u64) -> (Deed, u64, u64) {
        self.free_at_ns = self.free_at_ns.max(received_ns) + service_ns;
        (Deed::Answer, self.free_at_ns, service_ns)
    }

    fn draw_token(&mut self, rate: u64, burst: u64, received_ns: u64) -> Deed {
        // Threads may come to the table in another order than they looked at the clock.
        let since_ns = u128::from(received_ns.saturating_sub(self.first_ns));
        let filled = u128::from(burst) + since_ns * u128::from(rate) / 1_000_000_000;
        // What overflowed the bucket is lost.
        let floor = u64::try_from(filled.saturating_sub(u128::from(burst))).unwrap_or(u64::MAX);
        self.let_through = self.let_through.max(floor);
        if u128::from(self.let_through) < filled {
            self.let_through += 1;
            Deed::Answer
        } else {
            Deed::Busy
        }
    }
}

impl Script {
    fn draw(&self, number: u64) -> Deed {
        let drawn = mix(self.seed, number) % MILLION;
        let mut below = 0;
        for (share, deed) in [
            (self.busy, Deed::Busy),
            (self.reset, Deed::Reset),
            (self.truncated, Deed::Truncate),
            (self.garbage, Deed::Garbage),
            (self.close, Deed::Close),
            (self.silent, Deed::Silent),
        ] {
            below += share;
            if drawn < below {
                return deed;
            }
        }
        Deed::Answer
    }
}

/// The service time that `/law/mm1` draws for request `number`, in nanoseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "53 random bits, and a positive time far below 2^53 nanoseconds"
)]
#[must_use]
pub fn service_draw_ns(seed: u64, number: u64, mean_ns: u64) -> u64 {
    let uniform = ((mix(seed, number) >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    (-uniform.ln() * mean_ns as f64).round() as u64
}

/// A generator that counts: the same for the same seed and number. SplitMix64's finish, twice.
fn mix(seed: u64, number: u64) -> u64 {
    let finish = |mut x: u64| {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    };
    finish(
        finish(seed.wrapping_add(0x9e37_79b9_7f4a_7c15))
            ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
    )
}

/// The parameters of a query.
struct Values<'a> {
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Values<'a> {
    fn read(query: &'a str) -> Result<Self, &'static str> {
        let items = query.split('&').filter(|item| !item.is_empty());
        let pairs: Option<Vec<_>> = items.map(|item| item.split_once('=')).collect();
        let pairs = pairs.ok_or("every parameter of a law has a value: name=value")?;
        let twice = |name: &str| pairs.iter().filter(|pair| pair.0 == name).count() > 1;
        if pairs.iter().any(|pair| twice(pair.0)) {
            return Err("a parameter is given twice");
        }
        Ok(Self { pairs })
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1)
    }

    fn all_known(&self, law: &Law) -> Result<(), &'static str> {
        let known =
            |name: &str| ["stamps", "run"].contains(&name) || law.parameters().contains(&name);
        let flags = self.text("stamps").is_none_or(|value| value == "0" || value == "1");
        match (self.pairs.iter().all(|pair| known(pair.0)), flags) {
            (true, true) => Ok(()),
            (false, _) => Err("the law takes no such parameter"),
            (true, false) => Err("stamps: 0 or 1"),
        }
    }

    /// A length of time: `0`, `500us`, `2.5ms`, `1s`.
    fn time(&self, name: &str) -> Result<u64, &'static str> {
        let text = self.text(name).ok_or("a time is missing, like d=1ms; see the table of laws")?;
        if text == "0" {
            return Ok(0);
        }
        let time = duration(text).ok_or("a time needs a number and a unit, like 500us or 2.5ms")?;
        let time_ns = u64::try_from(time.as_nanos()).ok();
        time_ns.filter(|&time_ns| time_ns <= MOST_TIME_NS).ok_or("a time is at most an hour")
    }

    /// A positive number.
    fn count(&self, name: &str) -> Result<u64, &'static str> {
        let text = self.text(name).ok_or("a number is missing; see the table of laws")?;
        let count = digits(text).filter(|&count| (1..=1_000_000_000).contains(&count));
        count.ok_or("a number must be from 1 to 1000000000")
    }

    fn seed(&self) -> Result<u64, &'static str> {
        digits(self.text("seed").unwrap_or("1")).ok_or("seed: a whole number")
    }

    /// A probability with at most six decimals, in millionths.
    fn share(&self, name: &str) -> Result<u64, &'static str> {
        const REFUSED: &str = "a probability is a number from 0 to 1 with at most 6 decimals";
        let text = self.text(name).unwrap_or("0");
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        if decimals.is_empty() || decimals.len() > 6 {
            return Err(REFUSED);
        }
        let padded = format!("{decimals:0<6}");
        let (whole, decimals) = (digits(whole).ok_or(REFUSED)?, digits(&padded).ok_or(REFUSED)?);
        let share = whole.checked_mul(MILLION).and_then(|whole| whole.checked_add(decimals));
        share.filter(|&share| share <= MILLION).ok_or(REFUSED)
    }

    fn script(&self) -> Result<Script, &'static str> {
        let delay_ns = if self.text("d").is_some() { self.time("d")? } else { 0 };
        let script = Script {
            seed: self.seed()?,
            delay_ns,
            busy: self.share("p503")?,
            reset: self.share("preset")?,
            truncated: self.share("ptruncated")?,
            garbage: self.share("pgarbage")?,
            close: self.share("pclose")?,
            silent: self.share("psilent")?,
        };
        let Script { busy, reset, truncated, garbage, close, silent, .. } = script;
        if busy + reset + truncated + garbage + close + silent > MILLION {
            return Err("the probabilities must not be more than 1 together");
        }
        Ok(script)
    }
}

#[cfg(test)]
mod tests {
    use super::{Deed, Law, LawState, service_draw_ns};

    const MS: u64 = 1_000_000;

    fn law(name: &str, query: &str) -> Law {
        Law::parse(name, query).unwrap().law
    }

    /// What becomes of `count` requests that are received every `gap_ns` from 5 s on: deed, and latency.
    fn decide(law: &Law, count: u64, gap_ns: u64) -> Vec<(Deed, u64)> {
        let mut state = LawState::default();
        (0..count)
            .map(|i| {
                let received_ns = 5_000 * MS + i * gap_ns;
                let decision = state.decide(law, received_ns);
                assert_eq!(decision.number, i);
                (decision.deed, decision.at_ns - received_ns)
            })
            .collect()
    }

    #[test]
    fn queries_are_read_or_refused_with_a_reason() {
        assert_eq!(law("fixed", "d=0"), Law::Fixed { delay_ns: 0 });
        assert_eq!(law("md1", "d=2.5ms&run=7"), Law::Deterministic { service_ns: 2_500_000 });
        assert!(Law::parse("fixed", "d=1ms&stamps=1").unwrap().stamps);
        for (name, query) in [
            ("fixed", ""),
            ("fixed", "d=1"),
            ("fixed", "d=1ms&x=1"),
            ("fixed", "d=1ms&d=2ms"),
            ("fixed", "d=1ms&stamps=yes"),
            ("fixed", "d"),
            ("mixture", "fast=1ms&slow=2ms&every=0"),
            ("mm1", "mean=1ms&seed=-1"),
            ("stall", "d=0&stall=2s&every=1s"),
            ("bucket", "rate=x&burst=1"),
            ("script", "p503=1.5"),
            ("script", "p503=0.6&pclose=0.6"),
            ("script", "p503=0.1234567"),
            ("script", "p503=."),
            ("other", "d=1ms"),
            ("", ""),
        ] {
            assert!(Law::parse(name, query).is_err(), "{name}?{query}");
        }
    }

    #[test]
    fn a_mixture_is_slow_exactly_every_so_often() {
        let answers = decide(&law("mixture", "fast=1ms&slow=100ms&every=100"), 1001, MS);
        let slow = answers.iter().filter(|answer| answer.1 == 100 * MS).count();
        assert_eq!((slow, answers[0].1, answers[1].1), (11, 100 * MS, MS));
    }

    #[test]
    fn a_queue_obeys_lindleys_recursion() {
        let mut state = LawState::default();
        let exponential = law("mm1", "mean=1ms&seed=3");
        let (mut wait_ns, mut last_ns, mut last_service_ns) = (0_i64, 0, 0_i64);
        for i in 0..10_000_u64 {
            let received_ns = 1_000 * MS + i * 1_300_000 + (i * 7919) % 900_000;
            let decision = state.decide(&exponential, received_ns);
            let service_ns = i64::try_from(service_draw_ns(3, i, MS)).unwrap();
            if i > 0 {
                let gap_ns = i64::try_from(received_ns - last_ns).unwrap();
                wait_ns = (wait_ns + last_service_ns - gap_ns).max(0);
            }
            let took_ns = i64::try_from(decision.at_ns - received_ns).unwrap();
            assert_eq!(took_ns, wait_ns + service_ns);
            (last_ns, last_service_ns) = (received_ns, service_ns);
        }
    }

    #[test]
    fn service_draws_are_exponential_and_repeatable() {
        let draws: Vec<u64> = (0..100_000).map(|i| service_draw_ns(9, i, MS)).collect();
        let mean = draws.iter().sum::<u64>() as f64 / draws.len() as f64;
        assert!((mean / MS as f64 - 1.0).abs() < 0.015, "{mean}");
        let above = draws.iter().filter(|&&draw| draw > 3 * MS).count() as f64 / 1e5;
        assert!((above - (-3.0_f64).exp()).abs() < 0.003, "{above}");
        assert_eq!(draws[77], service_draw_ns(9, 77, MS));
        assert_ne!(draws[77], service_draw_ns(10, 77, MS));
    }

    #[test]
    fn nothing_is_answered_in_a_stall_and_everything_at_its_end() {
        let answers = decide(&law("stall", "d=1ms&stall=1s&every=10s"), 10_000, MS);
        // Received at 9.5 s, it would be done at 9.501 s, and waits for 10 s.
        assert_eq!(answers[9_500].1, 500 * MS);
        assert_eq!(answers[8_998].1, MS);
        assert_eq!(answers[8_999].1, 1_001 * MS);
        let slow = answers.iter().filter(|answer| answer.1 > MS).count();
        assert_eq!(slow, 1000);
    }

    #[test]
    fn a_bucket_lets_through_its_rate_and_its_burst() {
        let answers = decide(&law("bucket", "rate=100&burst=20"), 10_000, MS);
        let good = answers.iter().filter(|answer| answer.0 == Deed::Answer).count();
        assert_eq!(good, 20 + 999);
        assert!(answers[..20].iter().all(|answer| answer.0 == Deed::Answer));
        // What overflows while nobody comes is lost.
        let mut state = LawState::default();
        let bucket = law("bucket", "rate=100&burst=20");
        state.decide(&bucket, 0);
        let later: Vec<Deed> = (0..30).map(|_| state.decide(&bucket, 60_000 * MS).deed).collect();
        assert_eq!(later.iter().filter(|deed| **deed == Deed::Answer).count(), 20);
    }

    #[test]
    fn a_bucket_and_a_stall_bear_threads_that_come_in_another_order() {
        for law in [law("bucket", "rate=10&burst=2"), law("stall", "d=0&stall=1ms&every=10ms")] {
            let mut state = LawState::default();
            state.decide(&law, 1_000_000);
            state.decide(&law, 999_000);
            let later = state.decide(&law, 1_000_000_000 + 999_000);
            assert_eq!(later.deed, Deed::Answer, "{law:?}");
        }
    }

    #[test]
    fn scripted_faults_have_their_shares_and_repeat() {
        let script = law(
            "script",
            "seed=5&p503=0.1&preset=0.02&ptruncated=0.02&pgarbage=0.01&pclose=0.1&psilent=0.01",
        );
        let deeds: Vec<Deed> = decide(&script, 100_000, 1).into_iter().map(|a| a.0).collect();
        for (deed, share) in [
            (Deed::Busy, 0.1),
            (Deed::Reset, 0.02),
            (Deed::Truncate, 0.02),
            (Deed::Garbage, 0.01),
            (Deed::Close, 0.1),
            (Deed::Silent, 0.01),
            (Deed::Answer, 0.74),
        ] {
            let found = deeds.iter().filter(|found| **found == deed).count() as f64 / 1e5;
            let spread = 4.0 * (share * (1.0 - share) / 1e5_f64).sqrt();
            assert!((found - share).abs() < spread, "{deed:?}: {found}");
        }
        let again: Vec<Deed> = decide(&script, 100_000, 1).into_iter().map(|a| a.0).collect();
        assert!(deeds == again);
    }

    #[test]
    fn every_so_many_th_request_is_never_answered() {
        let deeds = decide(&law("silent", "d=1ms&every=50"), 1000, MS);
        assert_eq!(deeds.iter().filter(|answer| answer.0 == Deed::Silent).count(), 20);
    }
}

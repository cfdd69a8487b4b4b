//! The statistics that say how far the numbers of a run can be believed.
//!
//! Pure functions over plain numbers: they must not know plans, records or reports, and read no clock.

pub mod comparison;
pub mod effective;
pub mod inflection;
pub mod packed;
pub mod random;
pub mod recovery;
pub mod series;
pub mod silence;
pub mod student;
pub mod trend;
pub mod warmup;

/// Generators and queues whose statistics are known, for tests.
#[cfg(test)]
pub(crate) mod known {
    use super::random::Random;

    /// The draws that simulations need.
    pub(crate) struct Draws(Random);

    impl Draws {
        pub(crate) fn new(seed: u64) -> Self {
            Self(Random::new(seed))
        }

        /// Above 0, at most 1.
        pub(crate) fn uniform(&mut self) -> f64 {
            ((self.0.number() >> 11) + 1) as f64 / (1_u64 << 53) as f64
        }

        pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
            -self.uniform().ln() * mean
        }

        /// From a normal distribution of mean 0, by Box and Muller.
        pub(crate) fn normal(&mut self, deviation: f64) -> f64 {
            let (radius, turn) = (self.uniform(), self.uniform());
            deviation * (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * turn).cos()
        }
    }

    /// Arrivals and response times of an M/M/1 queue, in seconds.
    pub(crate) fn queue(seed: u64, rate: f64, load: f64, seconds: f64) -> Vec<(f64, f64)> {
        served(seed, rate, seconds, |draws| draws.exponential(load / rate))
    }

    /// The same with any service time.
    pub(crate) fn served(
        seed: u64,
        rate: f64,
        seconds: f64,
        mut service: impl FnMut(&mut Draws) -> f64,
    ) -> Vec<(f64, f64)> {
        let mut draws = Draws::new(seed);
        let (mut now, mut free_at) = (0.0_f64, 0.0_f64);
        let mut answers = Vec::new();
        loop {
            now += draws.exponential(1.0 / rate);
            if now >= seconds {
                return answers;
            }
            free_at = free_at.max(now) + service(&mut draws);
            answers.push((now, free_at - now));
        }
    }
}

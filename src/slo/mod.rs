//! Gates on the numbers of a run, as people write them: `p99<50ms, p99[spike]<200ms, errors<0.1%, achieved>=99%`.
//!
//! `metric` knows what there is to look at, `part` what it is asked of; `clause` is one gate and `parse` its grammar; `gates`
//! holds clauses against parts of a finished run, [`windows`] against pieces of time as they come, and [`lookout`] against
//! the last seconds of a run that goes on. It must not know where a part comes from.

mod clause;
mod gates;
pub mod lookout;
mod metric;
mod parse;
mod part;
pub mod windows;

pub use clause::{Clause, Relation, Scope};
pub use gates::{Doubt, Finding, Gate, Parts, Phase, find};
pub use metric::Metric;
pub use parse::{parse, parse_conditions};
pub use part::{Figure, Part, Requests, Statistic, Timing, Unit};

#[cfg(test)]
mod tests;

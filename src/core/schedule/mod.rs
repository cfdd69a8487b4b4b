//! When each request is due, and what part of the run an instant belongs to: pure functions of the plan, in whole
//! nanoseconds, without a clock.
//!
//! The intended time of a request is worked out from its place in the schedule alone, never from when the one before it
//! was sent, so that nothing that happens in a run can move it. Evenly spaced arrivals are computed in integers only:
//! the same slots for any number of workers, no drift over any length. Owned by the plan and shared by all workers; it
//! must not know connections, requests or what became of them.
//!
//! `rate` reads exact rates, `shape` says what is to be scheduled, `segment` is a piece of it in exact numbers, `cursor` walks
//! a worker's slots, `timeline` names the phases, `window` places all that on the machine's clock.

mod cursor;
mod poisson;
mod rate;
mod segment;
mod shape;
mod timeline;
mod window;

pub use cursor::{Cursor, Schedule, Slot};
pub use rate::Rate;
pub use shape::{Arrivals, Bursts, Shape, Stage, parse_stages};
pub use timeline::{PhaseIndex, PhaseSpan, Timeline, TimelineCursor};
pub use window::Window;

#[cfg(test)]
mod tests;

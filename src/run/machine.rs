//! What this machine must have for a run: descriptors, memory, sockets as the flags want them, an engine.
//!
//! Owned by the control plane, which asks before anything is sent. It must not know what becomes of the run.

use crate::engine::{Unsupported, sockets, uring};
use crate::exit::Refusal;
use crate::machine::memory;
use crate::machine::sys;
use crate::plan::{EngineChoice, Plan, cores};
use crate::result::summary::Engine;

/// Descriptors that a process needs beside its connections and its workers: standard streams, files.
const OTHER_DESCRIPTORS: u64 = 32;
/// Of each worker: its ring, and what wakes it up.
const DESCRIPTORS_A_WORKER: u64 = 2;

/// Asks this machine for what `plan` needs, and says which engine will run.
///
/// # Errors
/// What is refused; nothing was sent.
pub fn prepare(plan: &Plan) -> Result<Engine, Refusal> {
    check(plan)?;
    sockets::try_out(&plan.route).map_err(Refusal::environment)?;
    choose(plan)
}

/// Asks this machine for the descriptors and the memory that `plan` needs.
///
/// # Errors
/// Exit code 7 when it does not have them.
pub(super) fn check(plan: &Plan) -> Result<(), Refusal> {
    let connections = u64::from(plan.load.connections);
    let of_workers = DESCRIPTORS_A_WORKER * plan.threads() as u64;
    check_descriptors(connections + of_workers, connections)?;
    check_memory(plan)
}

/// Raises the soft limit of open descriptors as far as `wanted` and what a process needs beside, for `connections` of -c.
///
/// # Errors
/// Exit code 7 when the hard limit is below that.
pub fn check_descriptors(wanted: u64, connections: u64) -> Result<(), Refusal> {
    let needed = wanted.saturating_add(OTHER_DESCRIPTORS);
    let limit = raise_limit(needed)?;
    if limit < needed {
        return Err(Refusal::environment(format!(
            "-c {connections}: {needed} descriptors are needed and the hard limit is {limit}; raise it with 'ulimit -Hn {needed}' or use a smaller -c"
        )));
    }
    Ok(())
}

/// As many connections as this process may have beside a worker on each core, and not more than `wanted`.
///
/// # Errors
/// Exit code 7 when the limit of descriptors cannot be read.
pub fn affordable_connections(wanted: u64) -> Result<u64, Refusal> {
    let others = OTHER_DESCRIPTORS + DESCRIPTORS_A_WORKER * cores::allowed().len() as u64;
    let limit = raise_limit(wanted + others)?;
    Ok(limit.saturating_sub(others).clamp(1, wanted))
}

fn raise_limit(needed: u64) -> Result<u64, Refusal> {
    sys::raise_descriptor_limit(needed).map_err(|error| {
        Refusal::environment(format!("the descriptor limit cannot be read: {error}"))
    })
}

/// Refuses what this machine has no memory for.
fn check_memory(plan: &Plan) -> Result<(), Refusal> {
    let needed = memory::needed_bytes(plan);
    match memory::available_bytes() {
        Some(available) if available < needed => Err(Refusal::environment(format!(
            "-c {}, -p {}: at least {} MiB of memory are needed, and {} MiB can be had; use a smaller -c or -p",
            plan.load.connections,
            plan.load.pipeline,
            needed >> 20,
            available >> 20
        ))),
        _ => Ok(()),
    }
}

/// Which engine runs.
fn choose(plan: &Plan) -> Result<Engine, Refusal> {
    let threads = u32::try_from(plan.threads()).unwrap_or(u32::MAX);
    let probed = || uring::probe(plan.load.connections.div_ceil(threads));
    match plan.engine {
        EngineChoice::Portable => Ok(Engine::Portable(None)),
        EngineChoice::Uring => match probed() {
            Ok(()) => Ok(Engine::Uring),
            Err(Unsupported(cause)) => {
                Err(Refusal::environment(format!("--engine uring: {cause}")))
            }
        },
        EngineChoice::Auto => Ok(match probed() {
            Ok(()) => Engine::Uring,
            Err(Unsupported(cause)) => Engine::Portable(Some(cause)),
        }),
    }
}

//! What the flags ask for and the plan holds only an answer to: the way to the target and the workers. The answer is another
//! one when a name stands for something else by now, or when the load is another one.
//!
//! Owned by the plan. It must not know what is sent.

use std::thread;
use std::time::Duration;

use super::cores::{self, Supply, Wanted, Workers};
use super::proxy::Proxy;
use super::route::{self, Asking};
use super::{Load, Plan, Preflight, Route};
use crate::cli::{NetworkArgs, RunArgs};
use crate::exit::{self, Refusal};
use crate::run::Interrupts;
use crate::target::Target;
use crate::time::monotonic;

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    network: NetworkArgs,
    pub(super) proxy: Option<Proxy>,
    threads: Option<u64>,
    cores: Option<Vec<usize>>,
}

impl Asked {
    /// What `args` ask for.
    ///
    /// # Errors
    /// A proxy that cannot be used, and the remedy.
    pub(super) fn of(args: &RunArgs, target: &Target) -> Result<Self, String> {
        let proxy = args.network.proxy.as_deref().map(Proxy::parse).transpose()?;
        if args.raw.is_some() && proxy.is_some() && !target.secure {
            return Err(
                "--raw contradicts --proxy for http://, which is asked in absolute form; write that into the file, and lead to the proxy with --connect-to"
                    .to_owned(),
            );
        }
        Ok(Self {
            network: args.network.clone(),
            proxy,
            threads: args.threads,
            cores: args.cpus.as_ref().map(|cores| cores.0.clone()),
        })
    }

    /// The way to the target; one that is not there yet is looked for as long as it may get ready.
    pub(super) fn route(&self, target: &Target, preflight: &Preflight) -> Result<Route, Refusal> {
        const AGAIN_AFTER: Duration = Duration::from_millis(50);
        let sources = route::sources(&self.network)?;
        let mut interrupts = None;
        loop {
            let asking = if preflight.dry_run {
                Asking::Nobody(sources.clone())
            } else {
                Asking::From(sources.clone())
            };
            match Route::find(target, &self.network, self.proxy.as_ref(), asking) {
                Err(Refusal { code: exit::TARGET, .. })
                    if preflight.ready_by.is_some_and(|until| monotonic() < until) =>
                {
                    let interrupts = match &interrupts {
                        Some(interrupts) => interrupts,
                        None => interrupts.insert(Interrupts::catch()?),
                    };
                    if let Some(signal) = interrupts.take() {
                        return Err(Refusal::stopped(signal, "the run began"));
                    }
                    thread::sleep(AGAIN_AFTER);
                }
                found => return found,
            }
        }
    }

    /// One core a worker for `load`, and why there are so many. With `fewer`, `-t` may ask for more threads than the load has
    /// connections, and gets one for each.
    pub(super) fn workers(
        &self,
        load: &Load,
        same_host: bool,
        fewer: bool,
    ) -> Result<Workers, Refusal> {
        let most = u64::from(load.connections);
        let wanted = Wanted {
            threads: self.threads.map(|threads| if fewer { threads.min(most) } else { threads }),
            listed: self.cores.as_deref(),
            connections: load.most_threads(),
            same_host,
        };
        cores::choose(&Supply::of_this_process(), wanted).map_err(Refusal::usage)
    }
}

impl Plan {
    /// The same plan with the way to the target looked for once more: what a name stands for, and which addresses accept, may
    /// have changed, and with it on which cores the workers are to run.
    ///
    /// # Errors
    /// Why there is none.
    pub fn with_fresh_route(&self) -> Result<Self, Refusal> {
        let Asked { network, proxy, .. } = &*self.asked;
        let asking = Asking::From(self.route.sources.clone());
        let route = Route::find(&self.target, network, proxy.as_ref(), asking)?;
        let same_host = route.is_local();
        // Whether there may be as many as -t says was settled with the load.
        let workers = self.asked.workers(&self.load, same_host, true)?;
        Ok(Self { route, same_host, ..self.clone() }.on(workers))
    }

    /// The same plan for these workers.
    pub(super) fn on(self, workers: Workers) -> Self {
        Self {
            cores: workers.cores,
            threads_asked: workers.asked,
            threads_reason: workers.reason,
            ..self
        }
    }
}

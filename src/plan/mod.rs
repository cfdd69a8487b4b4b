//! A validated, immutable description of a run: what the flags meant once files, names and cores were looked up.
//!
//! Built once before the clock starts, shared read-only by all workers.

mod asked;
mod build;
pub mod content;
pub mod cores;
mod credentials;
mod expect;
mod gates;
mod hash;
mod jobs;
mod key;
mod load;
mod message;
mod names;
mod obligations;
mod output;
pub mod pacing;
mod proxy;
pub mod route;
mod secrets;
mod security;
mod sources;

use std::sync::Arc;

use crate::core::schedule::{Schedule, Timeline};
use crate::core::tls::Security;
use crate::core::worker::{Expect, Timeouts};
use crate::request::RequestImage;
use crate::result::calibration::Calibration;
use crate::slo::Clause;
use crate::target::Target;
use crate::time::Nanos;
use asked::Asked;
pub use content::{RequestBody, TypeSource};
pub use hash::Hashes;
pub use output::{Output, RequestFormat};
pub use pacing::Pacing;
pub use route::{Endpoint, ProxyProtocol, Route, SocketOptions};
pub use secrets::Secrets;

/// Everything that a run needs to know.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the user asked for.
    pub target: Target,
    /// Where the bytes go, and how.
    pub route: Route,
    /// Whether that is this host, so that target and client share its cores.
    pub same_host: bool,
    /// What happens before the clock.
    pub preflight: Preflight,
    /// What was asked for, where the plan holds only an answer to it.
    pub(crate) asked: Arc<Asked>,
    /// The route leads to a proxy, which leads to the target.
    pub is_proxied: bool,
    /// What asks the proxy for a tunnel to the target, where there must be one.
    pub tunnel: Option<Arc<[u8]>>,
    /// What the bytes are wrapped in; `None` for `http://`.
    pub security: Option<Security>,
    /// The bytes of the request.
    pub request: RequestImage,
    /// Its method.
    pub method: String,
    /// Names of headers whose values may change from run to run of the same plan, in lower case and in order.
    pub volatile_headers: Vec<String>,
    /// Its body, and what that is declared to be; `None` without one, and for a request that was written byte for byte.
    pub body: Option<RequestBody>,
    /// How much of it.
    pub load: Load,
    /// How many times it is run (`--repeat`); of a sweep, each value of it.
    pub repeat: Option<u64>,
    /// How long nothing is sent between two runs, in nanoseconds, if that was said.
    pub pause_ns: Option<u64>,
    /// When each request is due; `None` in a closed loop.
    pub schedule: Option<Arc<Schedule>>,
    /// The phases of the run.
    pub timeline: Timeline,
    /// Length of the slices in which the run is watched, in nanoseconds; a second is a multiple of it.
    pub slice_ns: u64,
    /// What is waited for, and for how long.
    pub timeouts: Timeouts,
    /// Which responses are good.
    pub expect: Expect,
    /// Gates on the measured window and its parts.
    pub slo: Vec<Clause>,
    /// What ends the run early when it comes true.
    pub abort_on: Vec<Clause>,
    /// An invalid measurement is an error.
    pub strict: bool,
    /// Read bodies instead of discarding them in the kernel.
    pub body_check: bool,
    /// What is to talk to the kernel.
    pub engine: EngineChoice,
    /// How a worker waits.
    pub idle: Idle,
    /// One core a worker; their number is the number of threads.
    pub cores: Vec<usize>,
    /// What `-t` asked for, if that is more than the cores allow; `None` otherwise.
    pub threads_asked: Option<u64>,
    /// Why there are that many threads, unless that is what the user asked for.
    pub threads_reason: Option<String>,
    /// Seed of everything random.
    pub seed: u64,
    /// What this client can do on this machine, where that was measured.
    pub calibration: Option<Calibration>,
    /// Where results go.
    pub output: Output,
}

/// What happens before the clock.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Preflight {
    /// Nothing is sent: the plan is only shown.
    pub dry_run: bool,
    /// The run begins without a request before it.
    pub skipped: bool,
    /// For how long the target may get ready, in nanoseconds.
    pub wait_ready_ns: Option<u64>,
    /// Until when that is.
    pub ready_by: Option<Nanos>,
    /// Load on a public address is meant.
    pub allow_public: bool,
}

/// The offered load.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Load {
    /// Connections over all workers.
    pub connections: u32,
    /// Requests in flight a connection.
    pub pipeline: u32,
    /// Length of the measured window, in nanoseconds; `None` runs until `requests` are done.
    pub duration_ns: Option<u64>,
    /// Exact number of measured requests over all workers.
    pub requests: Option<u64>,
    /// Length of the warm-up before the measured window, in nanoseconds.
    pub warmup_ns: u64,
    /// The warm-up is cut from the measured window afterwards.
    pub auto_warmup: bool,
    /// Requests after which a connection is closed and opened anew.
    pub requests_per_connection: Option<u64>,
    /// The schedule's shape; `None` in a closed loop.
    pub pacing: Option<Pacing>,
}

/// What the user wants to talk to the kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EngineChoice {
    /// io_uring where this machine has it, the portable engine where it does not.
    Auto,
    /// io_uring or nothing.
    Uring,
    /// The portable engine in any case.
    Portable,
}

/// How a worker waits for completions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Idle {
    /// Spin while that takes the client's wake-up out of the latency, sleep otherwise.
    Auto,
    /// Always watch the ring from user space.
    Spin,
    /// Always sleep in the kernel.
    Sleep,
}

impl Idle {
    /// The word on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Spin => "spin",
            Self::Sleep => "sleep",
        }
    }
}

impl Plan {
    /// Workers, each on a core of its own.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.cores.len()
    }

    /// Whether large bodies may be dropped inside the kernel: nobody looks at them, nothing is to be decrypted, and no
    /// connection is a Unix socket, of which nothing can be dropped unseen.
    #[must_use]
    pub fn may_discard(&self) -> bool {
        let inet = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Inet(_));
        let looked_at = self.body_check || self.expect.reads_body() || self.security.is_some();
        !looked_at && self.route.endpoints.iter().all(inet)
    }
}

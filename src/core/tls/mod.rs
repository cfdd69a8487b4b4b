//! TLS between the bytes of a connection and HTTP.
//!
//! Sans-io: what came goes in, plain text and what is to be sent come out. Owned by a worker, one [`Session`] a
//! connection. It must not know sockets, requests or the run. rustls is named nowhere else but in the simulated server.
//! It looks at the wall clock, for the validity of certificates and the age of tickets, and at nothing else outside.
//!
//! The files: this one holds the client of one worker, `session` one connection, `options` what the user may choose,
//! `verify` who is trusted, `tickets` what is kept for resumption, `cause` what an error of rustls means.

mod cause;
mod options;
mod session;
mod tickets;
mod verify;

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::pki_types::ServerName;

pub use cause::TlsFailure;
use options::Nobody;
pub use options::{Identity, Options, Trust, Version, known_ciphers, known_groups};
pub use session::{Session, Step};
use tickets::Tickets;

/// How many connections of a hundred are to resume an earlier session where they can.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ResumptionShare(pub u8);

impl ResumptionShare {
    /// Whether attempt number `attempt` of a worker is one that may resume: spread evenly, exact over any hundred.
    #[must_use]
    pub fn includes(self, attempt: u64) -> bool {
        let share = u64::from(self.0);
        let at = attempt % 100;
        (at + 1) * share / 100 > at * share / 100
    }
}

/// What all connections of a run have in common.
#[derive(Clone, Debug)]
pub struct Security {
    config: Arc<ClientConfig>,
    asked: Arc<Nobody>,
    name: ServerName<'static>,
    /// Which of them may resume a session.
    pub resumption: ResumptionShare,
    /// Whom to believe to be the server: `anybody`, `platform`, `bundled` or `cacert`.
    pub trust: &'static str,
    /// What was chosen, in one line that is the same for the same choice.
    pub canonical: String,
}

impl Security {
    /// Whether the server must prove who it is.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.trust != "anybody"
    }

    /// Who vouches for the server, in words.
    #[must_use]
    pub fn vouching(&self) -> &'static str {
        match self.trust {
            "platform" => "certificate verified by the authorities of this machine",
            "bundled" => "certificate verified by Mozilla's authorities",
            "cacert" => "certificate verified by --cacert",
            _ => "certificate NOT verified (-k)",
        }
    }

    /// The name that is asked for, or the address.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.to_str().into_owned()
    }
}

/// One worker's side of TLS: its tickets, and how many sessions it has begun.
#[derive(Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
    asked: Arc<Nobody>,
    name: ServerName<'static>,
    tickets: Arc<Tickets>,
    resumption: ResumptionShare,
    begun: u64,
}

impl Client {
    /// The client of a worker with so many connections.
    #[must_use]
    pub fn new(security: &Security, connections: u32) -> Self {
        let tickets = Arc::new(Tickets::new(connections));
        let mut config = ClientConfig::clone(&security.config);
        config.resumption = if security.resumption == ResumptionShare(0) {
            Resumption::disabled()
        } else {
            Resumption::store(Arc::clone(&tickets) as Arc<_>)
        };
        Self {
            config: Arc::new(config),
            asked: Arc::clone(&security.asked),
            name: security.name.clone(),
            tickets,
            resumption: security.resumption,
            begun: 0,
        }
    }

    /// A session for a connection that was just opened.
    ///
    /// # Errors
    /// When rustls cannot begin one; the configuration was tried out when it was made, so that only a lack of memory or
    /// of randomness is left.
    pub fn begin(&mut self) -> Result<Session, TlsFailure> {
        self.tickets.offer(self.resumption.includes(self.begun));
        self.begun += 1;
        let connection =
            UnbufferedClientConnection::new(Arc::clone(&self.config), self.name.clone());
        let session = |connection| Session::new(connection, Arc::clone(&self.asked));
        connection.map(session).map_err(|error| TlsFailure::of(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::ResumptionShare;

    #[test]
    fn a_share_of_attempts_is_exact_over_a_hundred_and_evenly_spread() {
        for share in [0, 1, 33, 50, 99, 100] {
            let share_of = |attempts: std::ops::Range<u64>| {
                attempts.filter(|&attempt| ResumptionShare(share).includes(attempt)).count()
            };
            assert_eq!(share_of(0..100), usize::from(share));
            assert_eq!(share_of(700..800), usize::from(share));
            let half = share_of(0..50) * 2;
            assert!(half.abs_diff(usize::from(share)) <= 1, "{share}: {half}");
        }
    }
}

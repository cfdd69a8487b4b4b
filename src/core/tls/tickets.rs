//! What a worker's connections keep of their sessions, so that later ones can resume them.
//!
//! A store of our own, because rustls' holds eight tickets a server: of many connections that are opened at once, all
//! but eight would do full handshakes. And because some connections may have to do a full handshake in any case, while
//! what they are given is kept for the others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

/// Tickets a connection that are kept; servers give out one or two a handshake.
const TICKETS_PER_CONNECTION: usize = 2;

/// The tickets of one worker, all for the same server. The lock is for rustls, which wants stores that could be shared;
/// nobody ever waits for it.
#[derive(Debug)]
pub(super) struct Tickets {
    offering: AtomicBool,
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: Vec<Tls13ClientSessionValue>,
}

impl Tickets {
    pub(super) fn new(connections: u32) -> Self {
        let most = (connections as usize).max(1) * TICKETS_PER_CONNECTION;
        Self { offering: AtomicBool::new(true), most, kept: Mutex::default() }
    }

    /// Whether the session that is begun next may be given a ticket.
    pub(super) fn offer(&self, offering: bool) {
        self.offering.store(offering, Ordering::Relaxed);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_offering(&self) -> bool {
        self.offering.load(Ordering::Relaxed)
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.kept().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.kept().tls12 = Some(value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.is_offering().then(|| self.kept().tls12.clone()).flatten()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.kept().tls12 = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut kept = self.kept();
        if kept.tls13.len() < self.most {
            kept.tls13.push(value);
        }
    }

    /// The newest first: it will be valid for longest.
    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.is_offering().then(|| self.kept().tls13.pop()).flatten()
    }
}

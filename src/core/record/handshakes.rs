//! TLS handshakes: how many, of which kind, and what client and server agreed on.
//!
//! Bounded whatever a server does: at most [`MOST_AGREEMENTS`] different agreements are told apart.

/// Different agreements that are told apart; further ones are counted as handshakes only.
pub const MOST_AGREEMENTS: usize = 8;

/// What client and server agreed on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Negotiated {
    /// Version of the protocol.
    pub version: &'static str,
    /// Cipher suite, by its name in IANA's list.
    pub cipher: String,
    /// Group in which keys were exchanged; `None` where none was needed.
    pub group: Option<&'static str>,
    /// Protocol by ALPN; `None` when the server has not chosen any.
    pub alpn: Option<&'static str>,
}

/// The handshakes of one worker, or of all.
#[derive(Clone, Debug, Default)]
pub struct Handshakes {
    /// With a certificate.
    pub full: u64,
    /// In continuation of an earlier session.
    pub resumed: u64,
    /// Those that came to nothing.
    pub failed: u64,
    /// Of the full and the resumed ones, those in the measured window.
    pub in_window: u64,
    agreements: Vec<(Negotiated, u64)>,
}

impl Handshakes {
    /// Counts one that has succeeded.
    pub fn count(&mut self, negotiated: Negotiated, resumed: bool, in_window: bool) {
        self.full += u64::from(!resumed);
        self.resumed += u64::from(resumed);
        self.in_window += u64::from(in_window);
        self.agree(negotiated, 1);
    }

    fn agree(&mut self, negotiated: Negotiated, times: u64) {
        let known = self.agreements.iter().position(|(known, _)| *known == negotiated);
        match known {
            Some(place) => self.agreements[place].1 += times,
            None if self.agreements.len() < MOST_AGREEMENTS => {
                self.agreements.push((negotiated, times));
            }
            None => {}
        }
    }

    /// Those that have succeeded.
    #[must_use]
    pub fn completed(&self) -> u64 {
        self.full + self.resumed
    }

    /// What was agreed on, and how often, in the order in which it was first seen.
    #[must_use]
    pub fn agreements(&self) -> &[(Negotiated, u64)] {
        &self.agreements
    }

    /// Adds those of another worker.
    pub fn add(&mut self, other: &Self) {
        self.full += other.full;
        self.resumed += other.resumed;
        self.failed += other.failed;
        self.in_window += other.in_window;
        for (negotiated, times) in &other.agreements {
            self.agree(negotiated.clone(), *times);
        }
    }
}

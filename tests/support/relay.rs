//! Something between client and server that passes bytes on, or cuts, changes or withholds them: what networks and
//! proxies do to TLS, to the byte.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::scripted::{Peer, Scripted};

/// What becomes of the bytes that a server sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Treatment {
    /// They are passed on.
    Whole,
    /// So many are passed on, then the connection is closed.
    CutAfter(usize),
    /// One of them is another.
    CorruptAt(usize),
    /// All but the alerts that end a TLS session.
    WithoutAlerts,
    /// The server never hears of the client, whose connection is reset when it has said something.
    Reset,
}

/// A running relay; stops when dropped.
pub(crate) struct Relay {
    server: Scripted,
    heard: Arc<Mutex<Heard>>,
}

/// What came by, of one connection.
#[derive(Clone, Default)]
pub(crate) struct Heard {
    /// What the server sent.
    pub(crate) bytes: Vec<u8>,
    /// How much that was each time that the client began to speak.
    pub(crate) turns: Vec<usize>,
}

impl Relay {
    /// Starts one that asks `route` about each connection, which is told how many there were before.
    pub(crate) fn start(
        route: impl Fn(u64) -> (SocketAddr, Treatment) + Send + Sync + 'static,
    ) -> Self {
        let heard = Arc::<Mutex<Heard>>::default();
        let record = Arc::clone(&heard);
        let server = Scripted::start(move |peer| {
            let (to, treatment) = route(peer.number);
            if matches!(treatment, Treatment::Reset) {
                let _ = peer.stream().read(&mut [0]);
                peer.reset();
            } else {
                // One is enough, and others would be mixed with it.
                let unheard = Mutex::default();
                let heard = if peer.number == 0 { &*record } else { &unheard };
                relay(&peer, to, treatment, heard);
            }
        });
        Self { server, heard }
    }

    /// One to `server` that treats as many connections as there are treatments, and passes on all others.
    pub(crate) fn treating(server: SocketAddr, treatments: Vec<Treatment>) -> Self {
        Self::start(move |number| {
            let treatment = usize::try_from(number).ok().and_then(|at| treatments.get(at));
            (server, treatment.copied().unwrap_or(Treatment::Whole))
        })
    }

    /// One that leads the first connection to `first`, and all others to `others`.
    pub(crate) fn first_to(first: SocketAddr, others: SocketAddr) -> Self {
        Self::start(move |number| (if number == 0 { first } else { others }, Treatment::Whole))
    }

    /// One to `server` that treats the first connection so, and passes on all others.
    pub(crate) fn first_treated(server: SocketAddr, treatment: Treatment) -> Self {
        Self::treating(server, vec![treatment])
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.server.address())
    }

    /// Connections accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.server.accepted()
    }

    /// What came by in the first connection.
    pub(crate) fn heard(&self) -> Heard {
        self.heard.lock().expect("nobody panics with it").clone()
    }
}

fn relay(peer: &Peer, to: SocketAddr, treatment: Treatment, heard: &Mutex<Heard>) {
    let client = peer.stream();
    let Ok(server) = TcpStream::connect(to) else { return };
    let _ = server.set_nodelay(true);
    // Nothing is ever this slow; a relay that waits for it would keep its test from failing.
    let _ = server.set_read_timeout(Some(Duration::from_secs(20)));
    thread::scope(|scope| {
        scope.spawn(|| {
            pass_on(client, &server, |_, bytes| {
                let mut heard = heard.lock().expect("nobody panics with it");
                let sent = heard.bytes.len();
                if heard.turns.last() != Some(&sent) {
                    heard.turns.push(sent);
                }
                bytes.len()
            });
        });
        let mut records = Records::default();
        pass_on(&server, client, |at, bytes| {
            heard.lock().expect("nobody panics with it").bytes.extend_from_slice(bytes);
            match treatment {
                Treatment::Whole | Treatment::Reset => {}
                Treatment::CutAfter(most) => return bytes.len().min(most - at.min(most)),
                Treatment::CorruptAt(place) => {
                    if let Some(byte) = place.checked_sub(at).and_then(|place| bytes.get_mut(place))
                    {
                        *byte ^= 0x55;
                    }
                }
                Treatment::WithoutAlerts => *bytes = records.without_alerts(bytes),
            }
            bytes.len()
        });
        // Cut or not: the server is not to wait for more. What the client still says is read, for otherwise closing would
        // be a reset.
        let _ = server.shutdown(Shutdown::Both);
    });
}

/// Passes on what `from` sends until it ends, or until less of a piece is to be passed on than there is. `treat` is told
/// how many bytes came before.
fn pass_on(
    mut from: &TcpStream,
    mut to: &TcpStream,
    mut treat: impl FnMut(usize, &mut Vec<u8>) -> usize,
) {
    let mut before = 0;
    let mut piece = vec![0; 64 * 1024];
    // Someone who is gone cannot be written to; what the other says is read to its end all the same.
    while let Ok(count @ 1..) = from.read(&mut piece) {
        let mut bytes = piece[..count].to_vec();
        let wanted = treat(before, &mut bytes);
        before += count;
        let _ = to.write_all(&bytes[..wanted]);
        if wanted < bytes.len() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// A stream of bytes as TLS records.
#[derive(Default)]
struct Records {
    begun: Vec<u8>,
}

impl Records {
    /// The records that are whole now, but for alerts.
    fn without_alerts(&mut self, bytes: &[u8]) -> Vec<u8> {
        const HEADER: usize = 5;
        const ALERT: u8 = 21;
        const ENCRYPTED: u8 = 23;
        // In TLS 1.3 all look alike, and are told by their length: level, description, type of the content, tag.
        const ENCRYPTED_ALERT: usize = 1 + 1 + 1 + 16;
        self.begun.extend_from_slice(bytes);
        let mut kept = Vec::new();
        while self.begun.len() >= HEADER {
            let length = usize::from(u16::from_be_bytes([self.begun[3], self.begun[4]]));
            if self.begun.len() < HEADER + length {
                break;
            }
            let record: Vec<u8> = self.begun.drain(..HEADER + length).collect();
            let is_alert =
                record[0] == ALERT || (record[0] == ENCRYPTED && length == ENCRYPTED_ALERT);
            if !is_alert {
                kept.extend(record);
            }
        }
        kept
    }
}

//! What a connection does for a law: waits until it is time, then answers, or misbehaves as it was asked to.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use bytes::Bytes;
use monoio::io::AsyncWriteRent;

use super::answer;
use super::connection::{Connection, End};
use super::law::{Asked, Decision, Deed};
use super::request::Request;
use crate::machine::sys;
use crate::time::{Nanos, monotonic};

/// For so long after a request the thread polls for the next one instead of sleeping.
const AWAKE: Duration = Duration::from_millis(20);

const GARBAGE: &[u8] = b"SSH-2.0-not-a-web-server\r\n";

impl Connection {
    /// Carries out what the law decides about a request that was received at `received`.
    pub(super) async fn obey(
        &mut self,
        request: &Request,
        asked: &Asked,
        text: &str,
        received: Nanos,
    ) -> Result<(), End> {
        self.shared.clock.stay_awake(Instant::now() + AWAKE);
        let Some(decision) = self.shared.laws.decide(text, asked, received.0) else {
            return self.send(answer::refused_law(request), true).await;
        };
        // What was answered before must not wait with this one.
        self.flush().await?;
        let wait = Duration::from_nanos(decision.at_ns.saturating_sub(monotonic().0));
        if !wait.is_zero() && decision.deed != Deed::Silent {
            // The clock is read again only now, so that an answer is never early.
            self.shared.clock.until(Instant::now() + wait).await;
        }
        self.act(request, asked, &decision, received).await
    }

    async fn act(
        &mut self,
        request: &Request,
        asked: &Asked,
        decision: &Decision,
        received: Nanos,
    ) -> Result<(), End> {
        match decision.deed {
            Deed::Answer | Deed::Busy => {
                let stamps = asked.stamps.then(|| (received.0, monotonic().0));
                self.send(answer::by_law(request, decision, stamps), true).await?;
                self.flush().await
            }
            Deed::Truncate => {
                let whole = answer::by_law(request, decision, None).opening;
                self.write_and_part(whole.slice(..whole.len() / 2)).await
            }
            Deed::Garbage => self.write_and_part(Bytes::from_static(GARBAGE)).await,
            Deed::Close => self.write_and_part(Bytes::new()).await,
            Deed::Reset => {
                sys::reset_on_close(self.stream.as_raw_fd());
                Err(End::Gone)
            }
            Deed::Silent => {
                self.ignore().await;
                Err(End::Gone)
            }
        }
    }

    /// Sends bytes that are no whole response, and ends the connection in order.
    async fn write_and_part(&mut self, bytes: Bytes) -> Result<(), End> {
        if !bytes.is_empty() {
            self.write_all(bytes).await;
        }
        // Waiting for the peer to close, too, keeps what it sent meanwhile from turning the end into a reset.
        if self.stream.shutdown().await.is_ok() {
            self.ignore().await;
        }
        Err(End::Gone)
    }

    /// Reads and drops whatever still comes, until the peer closes.
    async fn ignore(&mut self) {
        loop {
            self.start = self.input.len();
            if !matches!(self.fill(0).await, Ok(true)) {
                return;
            }
        }
    }
}

//! A row of the log of requests: what both sides say of one request.

use serde_json::Value;

/// One request as the client logged it; times in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) measured: bool,
    pub(crate) outcome: String,
    pub(crate) intended: u64,
    pub(crate) sent: Option<u64>,
    pub(crate) first_byte: Option<u64>,
    pub(crate) ended: u64,
    pub(crate) pool_ns: u64,
    /// By how much the client looked at the answer too late.
    late_ns: u64,
    pub(crate) server_number: Option<u64>,
    pub(crate) server_received: Option<u64>,
    pub(crate) server_sent: Option<u64>,
}

impl Row {
    pub(crate) fn of(line: &str) -> Self {
        let value: Value = serde_json::from_str(line).unwrap();
        let number = |key: &str| value[key].as_u64();
        Self {
            measured: value["phase"] != "warmup",
            outcome: value["outcome"].as_str().unwrap().to_owned(),
            intended: number("intended_ns").unwrap(),
            sent: number("sent_ns"),
            first_byte: number("first_byte_ns"),
            ended: number("ended_ns").unwrap(),
            pool_ns: number("pool_wait_ns").unwrap(),
            late_ns: number("late_look_ns").unwrap(),
            server_number: number("server_number"),
            server_received: number("server_received_ns"),
            server_sent: number("server_sent_ns"),
        }
    }

    pub(crate) fn response_ns(&self) -> u64 {
        self.ended - self.intended
    }

    /// From the send, without what the client came too late to see.
    pub(crate) fn service_ns(&self) -> u64 {
        self.sent.map_or(0, |sent| self.ended - sent - self.late_ns)
    }

    /// From its being received to its being answered.
    pub(crate) fn at_target_ns(&self) -> u64 {
        self.server_received.zip(self.server_sent).map_or(0, |(received, sent)| sent - received)
    }

    /// What it took beside waiting for a connection and the time that the target gave it.
    pub(crate) fn held_up_ns(&self) -> u64 {
        let back = self.server_sent.map_or(0, |sent| self.ended.saturating_sub(sent));
        self.client_late_ns() + self.on_its_way_ns() + back
    }

    /// From sending to its being received.
    pub(crate) fn on_its_way_ns(&self) -> u64 {
        self.sent.zip(self.server_received).map_or(0, |(sent, received)| received - sent)
    }

    /// How late it was sent though a connection was free.
    fn client_late_ns(&self) -> u64 {
        self.sent.map_or(0, |sent| sent - self.intended).saturating_sub(self.pool_ns)
    }
}

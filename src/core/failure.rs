//! What can go wrong with a connection or a response: phase, kind, errno, and what to do about it.
//!
//! Owned by the data plane, which only counts failures. A failure carries no text of its own; names and hints are
//! looked up when a report is written.

/// Where in the life of a connection a failure struck.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Phase {
    /// Opening the connection.
    Connect,
    /// Agreeing on keys, and checking who the server is.
    Tls,
    /// Handing request bytes to the kernel.
    Send,
    /// Waiting for or reading response bytes.
    Receive,
    /// Making sense of the bytes received.
    Parse,
    /// Waiting longer than the user allowed.
    Timeout,
    /// This machine refused something: descriptors, ports, memory.
    Environment,
}

impl Phase {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Send => "send",
            Self::Receive => "receive",
            Self::Parse => "parse",
            Self::Timeout => "timeout",
            Self::Environment => "environment",
        }
    }
}

macro_rules! kinds {
    ($($variant:ident, $name:literal, $what:literal, $hint:literal;)+) => {
        /// The cause of a failure, as far as it can be told.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Kind { $(#[doc = $what] $variant,)+ }

        impl Kind {
            /// Every kind, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The stable name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// One sentence that says what happened.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $what,)+ }
            }

            /// What the user may do about it.
            #[must_use]
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint,)+ }
            }
        }
    };
}

kinds! {
    AlpnRefused, "alpn_refused", "The server speaks no protocol that was offered.",
        "maxq offers http/1.1 by ALPN; enable it in the server";
    BadChunk, "bad_chunk", "A chunk size or the line end after a chunk is malformed.",
        "the server's chunked encoding is broken; look at the response with tcpdump";
    BadContentLength, "bad_content_length", "Content-Length is not a number, overflows, or contradicts itself.",
        "RFC 9112 section 6.3 forbids guessing the length; fix the server";
    BadHead, "bad_head", "The response head is not HTTP/1.x.",
        "check that this port speaks HTTP/1.1";
    BadHeaderLine, "bad_header_line", "A header line can be read in more than one way.",
        "NUL or a bare CR is refused in any line, and a fold, a space before the colon, or an odd character in Content-Length, Transfer-Encoding, or Connection; fix the server";
    BadTransferEncoding, "bad_transfer_encoding", "Transfer-Encoding cannot be framed.",
        "only a final 'chunked' delimits a message; fix the server";
    BodyTimeout, "body_timeout", "The response body was not whole in time.",
        "raise --timeout, or find out why the server sends this slowly";
    BrokenPipe, "broken_pipe", "The server had closed the connection when the request was sent.",
        "the server closes idle or busy connections; see its keep-alive limits";
    CertificateExpired, "certificate_expired", "The server's certificate has expired.",
        "renew it; -k measures without verifying";
    CertificateInvalid, "certificate_invalid", "The server's certificate cannot be accepted.",
        "issue it again, as an X.509 version 3 certificate for a server; -k measures without verifying";
    CertificateNotYetValid, "certificate_not_yet_valid", "The server's certificate is not valid yet.",
        "check the clocks of both machines; -k measures without verifying";
    CertificateUntrusted, "certificate_untrusted", "Nobody who is trusted has signed the server's certificate.",
        "name its issuer, or a self-signed certificate itself, with --cacert FILE; -k measures without verifying";
    CertificateWithoutNames, "certificate_without_names", "The server's certificate names no host: it has no subjectAltName.",
        "issue it again with a subjectAltName, since the common name no longer counts; -k measures without verifying";
    CertificateWrongHost, "certificate_wrong_host", "The server's certificate is valid for other names.",
        "use a name that it is valid for, or give that with --sni; -k measures without verifying";
    ClientCertificate, "client_certificate", "The server wants a certificate of the client, or refuses the one it got.",
        "give one that the server trusts with --cert FILE --key FILE";
    ClosedEarly, "closed_early", "The server closed the connection before the response was whole.",
        "the server cut a response short; see its log";
    ClosedIdle, "closed_idle", "The server closed a kept connection as the next request was on its way.",
        "the keep-alive race; see the server's keep-alive timeout and request limit, or use --requests-per-connection";
    ClosedInHandshake, "closed_in_handshake", "The server closed the connection during the TLS handshake.",
        "check that this port speaks TLS; the server's log may say why";
    ClosedUnanswered, "closed_unanswered", "The server closed the connection before any byte of a response.",
        "the server gave no answer at all: check that this port speaks HTTP, and the server's log and limits";
    ClosedWithoutNotice, "closed_without_notice", "The connection was closed without TLS's close_notify, and only that tells the end of such a response.",
        "the response may have been cut short; let the server send Content-Length, or close in due form";
    ConnectTimeout, "connect_timeout", "The connection did not open in time.",
        "packets are dropped or the accept queue is full; --connect-timeout bounds the wait";
    Denied, "denied", "The operating system does not permit it.",
        "a firewall, a sandbox or the permissions of a Unix socket on this host forbid it";
    ExtraData, "extra_data", "Bytes followed a complete response.",
        "the server sent more than its framing announced";
    HandshakeTimeout, "handshake_timeout", "The TLS handshake was not over in time.",
        "the server is slow to answer or stalls; --connect-timeout bounds the wait";
    HeadTimeout, "head_timeout", "The response head was not whole in time.",
        "the server began to answer and got no further; raise --timeout, or see its log";
    HeadTooLarge, "head_too_large", "The response head is larger than 1 MiB.",
        "check that this port speaks HTTP; heads of this size are a fault of the server";
    LostInPipeline, "lost_in_pipeline", "A pipelined request died with its connection.",
        "the server closes in mid-pipeline; lower --pipeline";
    LooksLikeHttp2, "looks_like_http2", "The server answered with HTTP/2 frames.",
        "this port speaks HTTP/2 without upgrade; maxq speaks HTTP/1.1";
    LooksLikeTls, "looks_like_tls", "The server answered with a TLS record.",
        "this port speaks TLS; use https://";
    NameRefused, "name_refused", "The server does not know the name that it was asked for.",
        "the name is that of the URL; give another with --sni";
    NoDescriptors, "no_descriptors", "No file descriptor was left.",
        "raise 'ulimit -n' or lower --connections";
    NoLocalPort, "no_local_port", "No local port was left for this target.",
        "reuse connections, or widen net.ipv4.ip_local_port_range";
    NoMemory, "no_memory", "The kernel had no memory for it.",
        "lower --connections, or free memory on this machine";
    NoSuchSocket, "no_such_socket", "There is no Unix socket by that name.",
        "check --unix-socket, and that the server is running";
    NotConnectable, "not_connectable", "The operating system cannot connect to this address.",
        "a link-local address or a loopback --source with another host cannot work, nor can IPv6 where it is off; choose the address with -4, -6 or --resolve";
    NotTls, "not_tls", "The server answered the TLS handshake with something else.",
        "this port speaks no TLS; use http://";
    NothingInCommon, "nothing_in_common", "Client and server have no version, cipher or group of TLS in common.",
        "compare --tls, --ciphers and --groups with the server's settings";
    OpenEnded, "open_ended", "The head came in time, but with neither Content-Length nor chunked coding, and the server did not close the connection, which alone ends such a body.",
        "an event stream cannot be measured this way; let the server send a length or chunks, or close: -H 'Connection: close' asks it to";
    Other, "other", "An operating system error without a name of its own here.",
        "the operating system gave no error code; strace shows the call that failed";
    ProxyRefused, "proxy_refused", "The proxy did not open a tunnel to the target.",
        "check that the proxy allows CONNECT to this port; --proxy http://USER:PASSWORD@HOST:PORT logs in";
    Refused, "refused", "Nothing listens there.",
        "check that a server listens on this host and port";
    Reset, "reset", "The peer reset the connection.",
        "the server aborted; see its log, its backlog and its limits";
    ResponseTimeout, "response_timeout", "No byte of the response came in time.",
        "raise --timeout, or find out why the server is this slow";
    TimedOut, "timed_out", "The kernel gave up on the peer.",
        "packets are lost between here and the server";
    TlsAlert, "tls_alert", "The server ended the TLS session with an alert.",
        "the server's log says why";
    TlsBroken, "tls_broken", "What the server sent breaks the rules of TLS.",
        "check with tcpdump whether something between client and server changes bytes";
    TooManyInterim, "too_many_interim", "More than 64 interim (1xx) responses came before the final one.",
        "the server never gets to a final status";
    Unreachable, "unreachable", "There is no route to the host.",
        "check the address and the routing";
    UnsolicitedData, "unsolicited_data", "Bytes came on a connection that had asked for nothing.",
        "the server speaks before it is asked";
    UnsupportedVersion, "unsupported_version", "The response is not HTTP/1.0 or HTTP/1.1.",
        "maxq speaks HTTP/1.1";
    UnwantedUpgrade, "unwanted_upgrade", "The server switched protocols unasked.",
        "a 101 that no request asked for; fix the server";
}

/// One failure: where, why, and the errno where there is one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Failure {
    /// Where it struck.
    pub phase: Phase,
    /// Why, as far as it can be told.
    pub kind: Kind,
    /// The errno, or 0.
    pub errno: i32,
}

impl Failure {
    /// A failure without an errno.
    #[must_use]
    pub const fn new(phase: Phase, kind: Kind) -> Self {
        Self { phase, kind, errno: 0 }
    }

    /// The failure that `errno` means in `phase`. What this machine lacks is always `Environment`.
    #[must_use]
    pub const fn from_errno(phase: Phase, errno: i32) -> Self {
        let kind = match errno {
            libc::EINVAL
            | libc::EAFNOSUPPORT
            | libc::EPROTONOSUPPORT
            | libc::EPROTOTYPE
            | libc::ESOCKTNOSUPPORT
            | libc::EOPNOTSUPP
                if matches!(phase, Phase::Connect) =>
            {
                Kind::NotConnectable
            }
            libc::ENOENT | libc::ENOTDIR if matches!(phase, Phase::Connect) => Kind::NoSuchSocket,
            libc::EACCES | libc::EPERM => Kind::Denied,
            libc::EADDRNOTAVAIL => Kind::NoLocalPort,
            libc::ECONNREFUSED => Kind::Refused,
            libc::ECONNRESET | libc::ECONNABORTED => Kind::Reset,
            libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EHOSTDOWN | libc::ENETDOWN => {
                Kind::Unreachable
            }
            libc::EMFILE | libc::ENFILE => Kind::NoDescriptors,
            libc::ENOBUFS | libc::ENOMEM => Kind::NoMemory,
            libc::EPIPE => Kind::BrokenPipe,
            libc::ETIMEDOUT => Kind::TimedOut,
            _ => Kind::Other,
        };
        let phase = match kind {
            Kind::NoDescriptors | Kind::NoLocalPort | Kind::NoMemory => Phase::Environment,
            _ => phase,
        };
        Self { phase, kind, errno }
    }

    /// Whether trying again cannot help, however long: the address cannot be connected to, or this machine forbids it.
    #[must_use]
    pub const fn is_permanent(self) -> bool {
        matches!(self.phase, Phase::Connect)
            && matches!(self.kind, Kind::Denied | Kind::NotConnectable)
    }

    /// What the user may do about it.
    #[must_use]
    pub fn hint(self) -> String {
        match (self.kind, self.errno) {
            (Kind::Other, errno) if errno != 0 => {
                let name = errno_name(errno).map_or_else(String::new, |name| format!("{name}, "));
                format!(
                    "the operating system ended it with {name}error {errno}; strace shows the call that failed"
                )
            }
            (kind, _) => kind.hint().to_owned(),
        }
    }
}

/// The symbolic name of an errno that sockets return, or `None` for others.
#[must_use]
pub const fn errno_name(errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::EACCES => "EACCES",
        libc::EADDRINUSE => "EADDRINUSE",
        libc::EADDRNOTAVAIL => "EADDRNOTAVAIL",
        libc::EAFNOSUPPORT => "EAFNOSUPPORT",
        libc::EAGAIN => "EAGAIN",
        libc::EBADF => "EBADF",
        libc::ECANCELED => "ECANCELED",
        libc::ECONNABORTED => "ECONNABORTED",
        libc::ECONNREFUSED => "ECONNREFUSED",
        libc::ECONNRESET => "ECONNRESET",
        libc::EHOSTDOWN => "EHOSTDOWN",
        libc::EHOSTUNREACH => "EHOSTUNREACH",
        libc::EINVAL => "EINVAL",
        libc::EIO => "EIO",
        libc::EISCONN => "EISCONN",
        libc::EMFILE => "EMFILE",
        libc::EMSGSIZE => "EMSGSIZE",
        libc::ENETDOWN => "ENETDOWN",
        libc::ENETUNREACH => "ENETUNREACH",
        libc::ENFILE => "ENFILE",
        libc::ENOBUFS => "ENOBUFS",
        libc::ENOENT => "ENOENT",
        libc::ENOMEM => "ENOMEM",
        libc::ENOTCONN => "ENOTCONN",
        libc::ENOTDIR => "ENOTDIR",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        libc::EPERM => "EPERM",
        libc::EPIPE => "EPIPE",
        libc::EPROTO => "EPROTO",
        libc::EPROTONOSUPPORT => "EPROTONOSUPPORT",
        libc::EPROTOTYPE => "EPROTOTYPE",
        libc::ESOCKTNOSUPPORT => "ESOCKTNOSUPPORT",
        libc::ETIMEDOUT => "ETIMEDOUT",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Failure, Kind, Phase};
    use clap::CommandFactory;
    use std::collections::HashSet;

    #[test]
    fn every_kind_has_its_own_name() {
        let names: HashSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
    }

    #[test]
    fn every_hint_is_of_its_kind_alone_and_leads_somewhere() {
        let command = crate::cli::Cli::command();
        let run = command.find_subcommand("run").unwrap();
        let flag = |name: &str| {
            run.get_arguments().find(|argument| argument.get_long() == Some(name)).cloned()
        };
        let mut seen = HashSet::new();
        for kind in Kind::ALL {
            let (name, hint) = (kind.name(), kind.hint());
            assert!(hint.split_whitespace().count() >= 3, "{name}: '{hint}'");
            assert!(seen.insert(hint), "{name} has the hint of another kind: '{hint}'");
            assert!(kind.description().ends_with('.'), "{name}");
            // A report may have none of these.
            for dangling in ["the errno", "the sample", "the report", "above", "below"] {
                assert!(!hint.contains(dangling), "{name} leads to '{dangling}': '{hint}'");
            }
            let words: Vec<&str> = hint.split([' ', ';', ',', '?', '\'']).collect();
            for (at, word) in words.iter().enumerate() {
                let Some(long) = word.strip_prefix("--") else { continue };
                let flag = flag(long).unwrap_or_else(|| panic!("{name}: no flag --{long}"));
                let takes_value = flag.get_action().takes_values();
                let next = words.get(at + 1).copied().unwrap_or_default();
                assert!(takes_value || !matches!(next, "on" | "off"), "{name}: '{hint}'");
            }
        }
    }

    #[test]
    fn an_error_without_a_kind_of_its_own_is_named_by_its_number() {
        let hint = |errno| Failure::from_errno(Phase::Send, errno).hint();
        assert!(hint(libc::EPROTO).contains("EPROTO, error 71"), "{}", hint(libc::EPROTO));
        assert!(hint(libc::EXDEV).contains("with error 18"), "{}", hint(libc::EXDEV));
        assert!(hint(0).contains("no error code"), "{}", hint(0));
        assert_eq!(hint(libc::EPIPE), Kind::BrokenPipe.hint());
    }

    #[test]
    fn what_cannot_heal_is_permanent_only_while_connecting() {
        for (errno, permanent) in [
            (libc::EINVAL, true),
            (libc::EAFNOSUPPORT, true),
            (libc::EPROTONOSUPPORT, true),
            (libc::EPERM, true),
            (libc::EACCES, true),
            (libc::ENOENT, false),
            (libc::ECONNREFUSED, false),
            (libc::EHOSTUNREACH, false),
            (libc::EADDRNOTAVAIL, false),
            (libc::EMFILE, false),
        ] {
            let permanent_in = |phase| Failure::from_errno(phase, errno).is_permanent();
            assert_eq!(permanent_in(Phase::Connect), permanent, "{errno}");
            assert!(!permanent_in(Phase::Send) && !permanent_in(Phase::Receive), "{errno}");
        }
    }

    #[test]
    fn what_this_machine_lacks_is_environment_in_every_phase() {
        for phase in [Phase::Connect, Phase::Send, Phase::Receive] {
            for errno in [libc::EMFILE, libc::EADDRNOTAVAIL, libc::ENOBUFS] {
                assert_eq!(Failure::from_errno(phase, errno).phase, Phase::Environment);
            }
        }
    }
}

//! Whole runs over TLS in the simulated engine, against rustls as the server: nothing may be different but the bytes.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::tests::{MILLISECOND, SECOND, counted, job, piped, run, server, warmed_up};
use super::{Action, Event, Job, Worker};
use crate::core::failure::{Kind, Phase};
use crate::core::tls::{Client, Options, ResumptionShare, Security, Trust, Version};
use crate::engine::mirror::{Mirror, MirrorConfig};
use crate::engine::sim::{Deed, Server};
use crate::request::RequestImage;
use crate::time::Nanos;

struct Certified {
    pem: String,
    mirror: MirrorConfig,
}

static CERTIFIED: LazyLock<Certified> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(["sim.example".to_owned()]).unwrap();
    let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let mirror = MirrorConfig::new(pem.as_bytes(), key.as_bytes()).unwrap();
    Certified { pem, mirror }
});

fn options() -> Options {
    Options {
        name: "sim.example".to_owned(),
        trust: Trust::Named(CERTIFIED.pem.clone().into_bytes()),
        identity: None,
        version: None,
        ciphers: Vec::new(),
        groups: Vec::new(),
        resumption: ResumptionShare(100),
    }
}

fn secure(options: &Options, job: Job) -> Job {
    let security: Security = options.build().unwrap();
    Job { security: Some(security), may_discard: false, ..job }
}

fn secure_server() -> Server {
    Server { mirror: Some(CERTIFIED.mirror.clone()), ..server() }
}

#[test]
fn the_handshake_is_timed_by_itself_and_is_no_part_of_any_request() {
    let outcome = run(secure(&options(), job()), &secure_server());
    let measured = outcome.record.measured();
    assert_eq!((measured.counts.ok, measured.counts.sent), (4 * 1000, 4 * 1000));
    assert_eq!(measured.service().quantile_ns(1.0), Some(MILLISECOND));
    assert_eq!(outcome.record.handshake.as_ref().map(|times| times.count()), Some(4));
    let handshakes = &outcome.record.handshakes;
    assert_eq!((handshakes.full, handshakes.resumed, handshakes.failed), (4, 0, 0));
    let [(negotiated, 4)] = handshakes.agreements() else { panic!("{handshakes:?}") };
    assert_eq!((negotiated.version, negotiated.group), ("TLSv1.3", Some("X25519")));
    assert_eq!(negotiated.cipher, "TLS_AES_256_GCM_SHA384");
}

#[test]
fn what_is_chosen_is_what_is_agreed_on() {
    for (version, cipher, named) in [
        (Version::Tls13, "TLS_AES_128_GCM_SHA256", "TLSv1.3"),
        (Version::Tls13, "tls_chacha20_poly1305_sha256", "TLSv1.3"),
        (Version::Tls12, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLSv1.2"),
    ] {
        let ciphers = vec![cipher.to_owned()];
        let groups = vec!["secp256r1".to_owned()];
        let options = Options { version: Some(version), ciphers, groups, ..options() };
        let outcome = run(secure(&options, counted(20)), &secure_server());
        assert_eq!(outcome.record.measured().counts.ok, 20);
        let [(negotiated, _)] = outcome.record.handshakes.agreements() else { panic!() };
        assert_eq!((negotiated.version, negotiated.group), (named, Some("secp256r1")));
        assert!(negotiated.cipher.eq_ignore_ascii_case(cipher), "{negotiated:?}");
    }
}

#[test]
fn as_many_connections_resume_as_were_to() {
    for version in [Version::Tls12, Version::Tls13] {
        for share in [0, 25, 50, 100] {
            let resumption = ResumptionShare(share);
            let options = Options { version: Some(version), resumption, ..options() };
            let job = Job { requests_per_connection: 1, ..counted(400) };
            let outcome = run(secure(&options, job), &secure_server());
            assert_eq!(outcome.record.measured().counts.ok, 400);
            let handshakes = &outcome.record.handshakes;
            let wanted = handshakes.completed() * u64::from(share) / 100;
            // The first ones have nothing to resume.
            let short = wanted.saturating_sub(handshakes.resumed);
            assert!(handshakes.resumed <= wanted + 1 && short <= 4, "{share} %: {handshakes:?}");
        }
    }
}

#[test]
fn requests_of_many_records_are_sent_whole_and_counted_without_what_tls_adds() {
    for length in [16 * 1024, 64 * 1024, 64 * 1024 + 1, 300_000] {
        let image = RequestImage::new(&vec![b'x'; length], 4, false);
        let job = Job { image, pipeline: 4, ..counted(40) };
        let outcome = run(secure(&options(), job), &secure_server());
        assert_eq!(outcome.record.measured().counts.ok, 40);
        assert_eq!(outcome.record.measured().bytes_sent, 40 * length as u64);
    }
}

#[test]
fn bodies_of_many_records_are_counted_to_the_plain_byte() {
    let body = 100_000;
    let mut response = format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n\r\n").into_bytes();
    response.resize(response.len() + body, b'x');
    let whole = response.len() as u64;
    for piece_bytes in [1 << 20, 20_000, 700] {
        let server = Server { response: response.clone(), piece_bytes, ..secure_server() };
        let outcome = run(secure(&options(), counted(25)), &server);
        assert_eq!(outcome.record.measured().counts.ok, 25);
        assert_eq!(outcome.record.measured().bytes_received, 25 * whole);
    }
}

#[test]
fn who_is_not_trusted_gets_no_request() {
    let stranger = rcgen::generate_simple_self_signed(["sim.example".to_owned()]).unwrap();
    for (options, kind) in [
        (
            Options { trust: Trust::Named(stranger.cert.pem().into_bytes()), ..options() },
            Kind::CertificateUntrusted,
        ),
        (Options { name: "other.example".to_owned(), ..options() }, Kind::CertificateWrongHost),
    ] {
        let outcome = run(secure(&options, job()), &secure_server());
        assert_eq!(outcome.server.requests, 0);
        let rows = outcome.record.errors.rows();
        assert!(!rows.is_empty() && rows.iter().all(|row| row.failure.kind == kind), "{rows:?}");
        assert_eq!(outcome.record.handshakes.failed, outcome.record.connections.failed);
        let anybody = Options { trust: Trust::Anybody, ..options };
        let outcome = run(secure(&anybody, counted(8)), &secure_server());
        assert_eq!(outcome.record.measured().counts.ok, 8);
    }
}

#[test]
fn a_connection_is_replaced_before_its_keys_are_used_up_and_loses_nothing() {
    for (version, depth, replaced) in
        [(Version::Tls12, 1, true), (Version::Tls12, 4, true), (Version::Tls13, 4, false)]
    {
        let requests = 6_000;
        let job = Job { requests: Some(requests), duration_ns: None, ..piped(depth) };
        let options = Options { version: Some(version), ..options() };
        let outcome = run(secure(&options, job), &secure_server());
        assert_eq!(outcome.record.measured().counts.ok, requests);
        assert!(outcome.record.errors.rows().is_empty(), "{:?}", outcome.record.errors.rows());
        assert_eq!(outcome.record.connections.reconnects > 0, replaced, "{version:?} {depth}");
    }
}

#[test]
fn a_server_that_speaks_before_it_is_asked_ends_its_connection_and_holds_up_nobody() {
    let now = Nanos(1_000_000_000);
    let options = Options { version: Some(Version::Tls12), ..options() };
    let mut worker = Worker::new(secure(&options, Job { connections: 1, ..job() }), now);
    let Some(Action::Connect(id)) = worker.next_action() else { panic!("it connects") };
    assert!(worker.next_action().is_none());
    worker.on_event(now, Event::Connected(id));
    let mut mirror = Mirror::new(&CERTIFIED.mirror).unwrap();
    // The client's greeting, and its keys; behind the end of the handshake, more than was asked for.
    for last in [false, true] {
        let actions: Vec<Action> = std::iter::from_fn(|| worker.next_action()).collect();
        let transmit = Action::Transmit { conn: id, count: 0, first: 0 };
        assert!(actions.contains(&transmit), "{actions:?}");
        let (_, mut flight) = mirror.receive(&worker.sealed(id)).unwrap();
        worker.on_event(now, Event::Transmitted(id));
        if last {
            flight.extend(mirror.send(b"* OK ready\r\n"));
        }
        worker.on_event(now, Event::Received(id, &flight));
    }
    assert!(worker.is_ready(), "its first attempt has ended");
    let actions: Vec<Action> = std::iter::from_fn(|| worker.next_action()).collect();
    assert!(actions.contains(&Action::Close(id)), "{actions:?}");
    let (record, _) = worker.take_record(now);
    let [row] = record.errors.rows() else { panic!("{:?}", record.errors) };
    assert_eq!((row.failure.phase, row.failure.kind), (Phase::Tls, Kind::UnsolicitedData));
    assert_eq!((record.handshakes.failed, record.connections.failed), (1, 1));
}

#[test]
fn what_is_no_tls_is_told_apart_however_it_begins() {
    for (answer, kind) in [
        ("no TLS", Kind::NotTls),
        ("HTTP/1.1 400 Bad\r\n\r\n", Kind::NotTls),
        ("\u{15}\u{3}\u{3}\0\u{2}\u{2}\u{28}", Kind::NothingInCommon),
        ("\u{16}\u{3}\u{3}\0\u{4}abcd", Kind::TlsBroken),
    ] {
        let mut client = Client::new(&options().build().unwrap(), 1);
        let mut session = client.begin().unwrap();
        session.greet().unwrap();
        let mut sent = Vec::new();
        session.seal(b"", &mut sent).unwrap();
        assert!(sent.starts_with(&[0x16, 3, 1]), "a ClientHello");
        let heard = session.receive(answer.as_bytes(), &mut Vec::new(), |_| true);
        let failure = heard.expect_err("it is no ServerHello").failure;
        assert_eq!(failure.kind, kind, "{answer:?}");
    }
}

#[test]
fn a_server_that_never_answers_the_greeting_runs_out_of_time_in_the_handshake() {
    let outcome = run(
        secure(&options(), job()),
        &Server { response: b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), ..server() },
    );
    assert_eq!(outcome.server.requests, 0);
    // It never answers what it does not understand, in this simulation.
    let kinds: Vec<Kind> =
        outcome.record.errors.rows().iter().map(|row| row.failure.kind).collect();
    assert_eq!(kinds, [Kind::HandshakeTimeout]);
}

proptest! {
    #[test]
    fn whatever_happens_to_the_messages_of_a_server_a_session_ends_in_a_word(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        kept in any::<prop::sample::Index>(),
        cuts in 1_usize..500,
        tls12 in any::<bool>(),
    ) {
        let version = tls12.then_some(Version::Tls12);
        let security = Options { version, ..options() }.build().unwrap();
        let mut session = Client::new(&security, 1).begin().unwrap();
        session.greet().unwrap();
        let mut sent = Vec::new();
        session.seal(b"", &mut sent).unwrap();
        let (_, flight) = Mirror::new(&CERTIFIED.mirror).unwrap().receive(&sent).unwrap();
        let mut flight = flight[..=kept.index(flight.len())].to_vec();
        for (place, value) in &changes {
            let place = place.index(flight.len());
            flight[place] = *value;
        }
        let mut scratch = Vec::new();
        for piece in flight.chunks(cuts) {
            if session.receive(piece, &mut scratch, |_| true).is_err() {
                break;
            }
        }
        // Whatever it has to say about that can be said.
        let mut last = Vec::new();
        let _ = session.seal(b"", &mut last);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn no_mixture_of_faults_loses_or_invents_a_request_over_tls(
        seed in 1_u64..u64::MAX,
        weights in prop::collection::vec(0_u32..4, 7),
        refused_percent in 0_u64..50,
        piece_bytes in 1_usize..400,
        depth in 1_u32..6,
        requests_per_connection in prop::option::of(6_u64..20),
        requests in prop::option::of(1_u64..200),
        tls12 in any::<bool>(),
    ) {
        let deeds = [Deed::Answer, Deed::Refuse, Deed::Garbage, Deed::Cut, Deed::Close, Deed::Reset, Deed::Ignore];
        let server = Server {
            deeds: deeds.into_iter().zip(weights).collect(),
            refused_percent,
            piece_bytes,
            seed,
            ..secure_server()
        };
        let job = Job {
            requests,
            seed,
            duration_ns: Some(SECOND / 4),
            requests_per_connection: requests_per_connection.unwrap_or(u64::MAX),
            ..piped(depth)
        };
        let version = tls12.then_some(Version::Tls12);
        let job = secure(&Options { version, ..options() }, warmed_up(100 * MILLISECOND, job));
        let outcome = run(job, &server);
        let both = |of: fn(&crate::core::record::Counts) -> u64| {
            of(&outcome.record.warmup().counts) + of(&outcome.record.measured().counts)
        };
        prop_assert!(both(|counts| counts.ok) <= outcome.server.answered);
        prop_assert!(both(|counts| counts.http_error) <= outcome.server.refused);
        prop_assert_eq!(both(|counts| counts.unexpected), 0);
        let tally = &outcome.record.connections;
        prop_assert_eq!(
            outcome.record.handshakes.completed(),
            tally.opened + tally.reconnects
        );
    }
}

//! The fuzz targets over seeded inputs: known awkward responses, generated streams and mutations of both; so many that it
//! stays a matter of seconds. `MAXQ_FUZZ_INPUTS=1000000 cargo test --release --test fuzz` takes more of them, and
//! `scripts/fuzz` searches with libFuzzer, which sees what a change of the input reaches.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

#[path = "responses/generator.rs"]
mod generator;
#[path = "responses/reference.rs"]
mod reference;
#[path = "fuzz/targets.rs"]
mod targets;
#[path = "responses/vectors.rs"]
mod vectors;
#[path = "fuzz/worker.rs"]
mod worker;

use generator::Random;

fn inputs() -> usize {
    std::env::var("MAXQ_FUZZ_INPUTS").map_or(4_000, |text| text.parse().unwrap())
}

/// Bytes that turn up at the edges of what parsers expect.
const SPICES: [&[u8]; 12] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b":",
    b" ",
    b"0\r\n\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"ffffffffffffffff",
    b"\xff",
];

fn mutate(input: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..random.below(4) {
        let at = random.below(input.len() + 1);
        match random.below(4) {
            0 if at < input.len() => input[at] = u8::try_from(random.below(256)).unwrap(),
            1 if at < input.len() => {
                let end = at + random.below(input.len() - at);
                input.drain(at..end);
            }
            2 => {
                let spice = SPICES[random.below(SPICES.len())];
                input.splice(at..at, spice.iter().copied());
            }
            _ => {
                let end = at + random.below(16.min(input.len() - at) + 1);
                let piece = input[at..end].to_vec();
                let to = random.below(input.len() + 1);
                input.splice(to..to, piece);
            }
        }
    }
}

/// Streams of responses behind `prefix` bytes that say how to take them.
fn streams(prefix: usize, mut target: impl FnMut(&[u8])) {
    let known = vectors::all();
    let mut random = Random::new(0x6675_7a7a);
    for _ in 0..inputs() {
        let mut input: Vec<u8> =
            (0..prefix).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        if random.one_in(2) {
            input.extend_from_slice(&known[random.below(known.len())].bytes);
        }
        input.extend(generator::stream(&mut random));
        let mut stream = input.split_off(prefix);
        // The longest take the slow reader long, and say no more.
        stream.truncate(4096);
        mutate(&mut stream, &mut random);
        input.extend(stream);
        target(&input);
    }
}

#[test]
fn mutated_streams_are_read_alike_however_they_are_cut() {
    streams(3, targets::responses);
}

#[test]
fn a_learned_head_changes_nothing_that_is_read() {
    streams(targets::EDIT_BYTES, targets::learned_head);
}

#[test]
fn a_worker_survives_whatever_happens_to_it() {
    let mut random = Random::new(0x776f_726b);
    let mut reached = [0_u64; 8];
    for _ in 0..inputs() {
        let length = 4 + random.below(400);
        let input: Vec<u8> =
            (0..length).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        let counts = worker::worker(&input);
        for (sum, count) in reached.iter_mut().zip([
            counts.ok,
            counts.http_error,
            counts.protocol_error,
            counts.truncated,
            counts.reset,
            counts.timeout,
            counts.unsent,
            counts.in_flight_at_end,
        ]) {
            *sum += count;
        }
    }
    let often = inputs() as u64 / 40;
    assert!(reached.iter().all(|&sum| sum >= often), "every outcome comes about: {reached:?}");
}

//! The reader of responses against a slow one that was written from the standard alone, over generated streams that are cut
//! anywhere: the same responses, the same end, whatever was learned before.
//!
//! `MAXQ_RESPONSES=100000000 cargo test --release --test responses` reads so many responses instead of a few.
#[path = "responses/generator.rs"]
mod generator;
#[path = "responses/reference.rs"]
mod reference;
#[path = "fuzz/targets.rs"]
mod targets;
#[path = "responses/vectors.rs"]
mod vectors;

use generator::Random;
use maxq::core::http1::Framer;
use reference::{Ending, Whole};
use targets::{agree, read};

fn cut<'a>(stream: &'a [u8], random: &mut Random) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let most = if random.one_in(3) { 3 } else { rest.len() };
        let (piece, after) = rest.split_at(1 + random.below(most.min(rest.len())));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

fn check(stream: &[u8], head_request: bool, random: &mut Random, framers: &mut [Framer; 2]) -> u64 {
    let expected = reference::read(stream, head_request);
    let mut fresh = Framer::new(head_request, None);
    let pieces = cut(stream, random);
    let learned = &mut framers[usize::from(head_request)];
    for (how, found) in [
        ("whole", read(&[stream], &mut fresh)),
        ("in pieces", read(&pieces, &mut Framer::new(head_request, None))),
        ("learned", read(&[stream], learned)),
        ("learned, in pieces", read(&pieces, learned)),
    ] {
        assert!(
            agree(&found, &expected),
            "{how}, to {}: {found:?}, by the reference {expected:?}: {:?}",
            if head_request { "HEAD" } else { "GET" },
            stream.escape_ascii().to_string(),
        );
    }
    (expected.0.len() as u64).max(1)
}

#[test]
fn generated_streams_are_read_as_the_standard_says() {
    let wanted = std::env::var("MAXQ_RESPONSES").map_or(60_000, |text| text.parse().unwrap());
    let mut random = Random::new(0x6d61_7871);
    let mut framers = [Framer::new(false, None), Framer::new(true, None)];
    let mut done = 0;
    while done < wanted {
        let stream = generator::stream(&mut random);
        let head_request = random.one_in(8);
        done += check(&stream, head_request, &mut random, &mut framers);
    }
    println!("{done} responses");
}

#[test]
fn any_bytes_are_read_as_the_standard_says() {
    let mut random = Random::new(0x7365_6564);
    let mut framers = [Framer::new(false, None), Framer::new(true, None)];
    for _ in 0..20_000 {
        let stream = generator::noise(&mut random);
        check(&stream, false, &mut random, &mut framers);
    }
}

#[test]
fn known_vectors_are_read_as_told_however_they_are_cut() {
    let all = vectors::all();
    assert!(all.len() > 100, "{} vectors", all.len());
    for vector in &all {
        let told = |found: (Vec<Whole>, Ending), how: &str| {
            let found = verdict(&found.0, found.1);
            assert_eq!(found, vector.verdict, "{how}: {}", vector.line);
        };
        let stream = &vector.bytes;
        told(read(&[stream], &mut Framer::new(false, None)), "whole");
        let expected = reference::read(stream, false);
        assert!(
            agree(&read(&[stream], &mut Framer::new(false, None)), &expected),
            "the reference says {expected:?} of {}",
            vector.line
        );
        let step = stream.len().div_ceil(300).max(1);
        // The longest streams take long to read, and hold the same byte nearly everywhere.
        let step_of_cuts = if stream.len() > 100_000 { stream.len().div_ceil(8) } else { step };
        for at in (0..=stream.len()).step_by(step_of_cuts) {
            let (first, second) = stream.split_at(at);
            told(read(&[first, second], &mut Framer::new(false, None)), "cut in two");
        }
        let bytes: Vec<&[u8]> = stream.chunks(step).collect();
        told(read(&bytes, &mut Framer::new(false, None)), "byte by byte");
        // What ends by itself leaves what follows alone.
        if !["bad", "cut", "eof"].iter().any(|end| vector.verdict.contains(end)) {
            let next = b"HTTP/1.1 299 Next\r\nContent-Length: 3\r\n\r\nabc";
            let (responses, ending) = read(&[stream, next], &mut Framer::new(false, None));
            assert_eq!((responses.last().unwrap().status, ending), (299, Ending::Between));
        }
    }
}

/// What was read, in the words of the file.
fn verdict(responses: &[Whole], ending: Ending) -> String {
    let mut words: Vec<String> = responses
        .iter()
        .map(|whole| {
            let keep = if whole.keep_alive { "keep" } else { "close" };
            format!("ok {} {} {keep}", whole.status, whole.body_bytes)
        })
        .collect();
    match ending {
        Ending::Between => {}
        Ending::Cut | Ending::CutInHead => words.push("cut".to_owned()),
        Ending::Bad => words.push("bad".to_owned()),
        Ending::Closed => {
            let last = responses.last().expect("it closed a response");
            words.pop();
            words.push(format!("eof {} {}", last.status, last.body_bytes));
        }
    }
    words.join(", ")
}

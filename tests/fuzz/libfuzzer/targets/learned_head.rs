//! The target `learned_head` under libFuzzer.
#![no_main]
#![allow(dead_code, reason = "each target uses its own share")]

#[path = "../../../responses/reference.rs"]
mod reference;
#[path = "../../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::learned_head(data));

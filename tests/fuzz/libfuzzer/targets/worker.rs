//! The target `worker` under libFuzzer.
#![no_main]

#[path = "../../worker.rs"]
mod worker;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    worker::worker(data);
});

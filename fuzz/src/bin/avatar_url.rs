//! The address of a profile picture.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gateway::fuzz::avatar_url(bytes));

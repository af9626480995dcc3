//! Where a live stream goes on.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gateway::fuzz::last_event_id(bytes));

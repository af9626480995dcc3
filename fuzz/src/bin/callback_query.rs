//! The query of a platform's redirect.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gateway::fuzz::callback_query(bytes));

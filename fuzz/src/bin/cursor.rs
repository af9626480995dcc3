//! The cursor of a list.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| accounts::fuzz::cursor(bytes));

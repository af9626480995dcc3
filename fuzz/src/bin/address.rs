//! An address that a stranger gave.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kit::fuzz::address(bytes));

//! Meta's signed request.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| platforms::fuzz::signed_request(bytes));

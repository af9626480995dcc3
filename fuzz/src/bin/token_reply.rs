//! What a token endpoint answers.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| platforms::fuzz::token_reply(body));

//! TikTok's signature and the body under it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| platforms::fuzz::tiktok_signature(bytes));

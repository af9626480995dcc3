//! Claims of the OpenID provider's tokens.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gateway::fuzz::provider_claims(bytes));

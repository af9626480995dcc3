//! socializioz-tokens

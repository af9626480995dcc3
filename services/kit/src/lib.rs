//! socializioz-kit

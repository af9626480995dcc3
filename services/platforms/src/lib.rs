//! socializioz-platforms

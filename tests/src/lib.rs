//! socializioz-tests

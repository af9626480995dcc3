//! socializioz-accounts

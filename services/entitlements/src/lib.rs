//! socializioz-entitlements

//! socializioz-gateway

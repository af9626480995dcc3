//! Whole-cluster tests, one module per capability, each in both forms of the hub.
//!
//! One test binary, because linking the hub ten times would cost more than the tests.

mod access;
mod announcements;
mod browser;
mod callbacks;
mod chaos;
mod connect;
mod database_trouble;
mod disconnect;
mod fault_points;
mod keys;
mod limits;
mod mutual_tls;
mod oauth;
mod page;
mod plans;
mod platform_behaviour;
mod platform_deaths;
mod reconnect;
mod redis_trouble;
mod refresh;
mod replicas;
mod rolling;
mod rotation;
mod routes;
mod rpcs;
mod secrets;
mod seen;
mod sign_in;
mod soak;
mod startup;
mod tenancy;
mod tokens;
mod webhooks;

//! The one binary: every service by its role, or the whole hub in one process.
//!
//! No role starts all services over real gRPC on loopback and adds no code path of its own but the demo workspace's first
//! connections, which are made through the public API. Started by `main` and by the whole-cluster tests.

pub mod admin;
pub mod banner;
pub mod config;
mod demo;
pub mod hub;
mod readiness;
pub mod role;

pub use config::{Config, DEFAULTS};
pub use hub::Hub;
pub use role::Role;

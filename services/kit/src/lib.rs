//! What all services share: configuration, errors, gRPC set-up, telemetry, clock, database, Redis-or-memory, sealing.
//!
//! Small and boring on purpose. No business rule lives here; every service and the gateway depend on it.

pub mod clock;
pub mod config;
pub mod db;
pub mod error;
pub mod fault;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod grpc;
pub mod http;
pub mod id;
pub mod identity;
pub mod outbox;
pub mod process;
pub mod seal;
pub mod secret;
pub mod shared;
pub mod tasks;
pub mod telemetry;
pub mod wire;

pub use clock::Clock;
pub use config::Common;
pub use error::{Code, Failure};
pub use identity::{Person, Role};
pub use secret::Secret;

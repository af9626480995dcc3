//! The tokens service over real gRPC, on SQLite and, where `TEST_POSTGRES_URL` names one, on PostgreSQL, with a platform that
//! is played by the test (`fake`) and knows the truth. Replicas share a database and no Redis: nothing here may depend on it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod access;
mod behaviour;
mod cancel;
mod checks;
mod connect;
mod fake;
mod hub;
mod late;
mod refresh;
mod restore;
mod sealed;
mod settled;
mod store;
mod sweep;
mod trouble;
mod world;

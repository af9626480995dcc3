//! The gateway by itself, over imitated services: what it promises whatever they answer.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod answers;
mod avatars;
mod callbacks;
mod conventions;
mod events;
mod headers;
mod idempotency;
mod openapi;
mod people;
mod problems;
mod server;
mod sessions;
mod sign_in;
mod support;
mod tokens;

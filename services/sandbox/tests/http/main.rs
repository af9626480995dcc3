//! Drives the sandbox by real HTTP on a free port, as an adapter of the hub would: one module per platform, one for the
//! switches and one for the control API.

#![allow(clippy::unwrap_used, reason = "in a test the panic is the report")]

mod harness;

mod control;
mod facebook;
mod facebook_pages;
mod instagram;
mod linkedin;
mod switches;
mod tiktok;
mod x;

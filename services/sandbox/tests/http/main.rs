//! Drives the sandbox by real HTTP on a free port, as an adapter of the hub would, one module per platform.

mod harness;

mod x;

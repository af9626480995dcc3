//! The harness of the whole-cluster tests (`tests/tests/*.rs`, one file per capability).
//!
//! `each_form` runs a test against the hub in both of its forms behind one type, [`Cluster`]: in one process on SQLite
//! and memory, and as separate processes on PostgreSQL and Redis with two replicas where it matters. Tests drive HTTP
//! ([`Api`]), gRPC, a real browser ([`in_browser`]) and the imitated platforms ([`Sandbox`]), and wait with [`eventually`]: there is
//! no bare sleep.
//! Servers are private to the test process, see `tests/servers`; nothing but loopback is used.

mod api;
mod authority;
mod browser;
mod canaries;
pub mod chaos;
mod cluster;
mod collector;
mod connect;
mod embedded;
mod events;
mod forms;
mod processes;
mod provider;
mod proxy;
mod receiver;
mod sandbox;
mod servers;
mod settings;
mod wait;

pub use api::{Answer, Api};
pub use authority::{Authority, Issued};
pub use browser::{Screen, Stage, Tab, Trouble, Visitor, in_browser, in_browser_with};
pub use canaries::found;
pub use cluster::Cluster;
pub use collector::{Collector, Seen};
pub use connect::{Consent, Flow};
pub use events::{Event, Events};
pub use forms::{
    Form, each_form, each_form_with, in_one_process, separate_processes, separate_processes_as,
    separate_processes_wanted, separate_processes_with,
};
pub use processes::{Hub, Layout, Proxies, Role, binary};
pub use provider::{Browser, Provider};
pub use proxy::Proxy;
pub use receiver::{Received, Receiver, Reply};
pub use sandbox::Sandbox;
pub use settings::{Settings, addresses};
pub use wait::{eventually, eventually_within};

/// The result of every test.
pub type Outcome = anyhow::Result<()>;

//! The gateway: REST, live events, HTML pages, OAuth callbacks and the platforms' own calls.
//!
//! It has no database, no token and no rule about plans or health: it authenticates people, asks the services on their
//! behalf and shows what they answer. Browsers, native apps and platforms call it.

pub mod api;
pub mod auth;
pub mod avatars;
pub mod config;
pub mod cookies;
pub mod events;
pub mod idempotency;
pub mod layers;
pub mod limits;
pub mod oauth;
pub mod page;
pub mod problem;
pub mod serve;
pub mod session;
pub mod state;
pub mod streams;
pub mod view;
pub mod webhooks;

pub use config::{Links, Section};
pub use serve::{Config, serve};

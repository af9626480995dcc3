//! The gateway: REST, live events, HTML pages, OAuth callbacks and the platforms' own calls.
//!
//! It has no database, no token and no rule about plans or health: it authenticates people, asks the services on their
//! behalf and shows what they answer. Browsers, native apps and platforms call it.

pub(crate) mod answers;
pub mod api;
mod app_links;
pub mod auth;
pub(crate) mod avatars;
pub mod config;
pub(crate) mod cookies;
mod dev;
pub(crate) mod events;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub(crate) mod idempotency;
pub(crate) mod layers;
pub(crate) mod limits;
pub(crate) mod oauth;
pub mod page;
pub(crate) mod patience;
pub(crate) mod places;
pub mod problem;
pub mod serve;
pub mod session;
pub mod state;
pub(crate) mod together;
pub mod view;
pub(crate) mod webhooks;

pub use config::{Links, Section};
pub use serve::{Config, serve};

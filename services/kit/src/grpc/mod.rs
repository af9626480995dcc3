//! gRPC set-up shared by all services: who calls, for whom, by when, and who may.
//!
//! Every RPC has a [`Rule`]; what has none is refused. A handler takes a [`Context`] from its request and makes its onward
//! calls with it, so that identity, deadline and trace travel along.

mod client;
mod context;
mod health;
mod policy;
mod server;
pub mod tls;

pub use client::{Client, Everyone, client};
pub use context::{Context, new_trace};
pub use health::check as check_health;
pub use policy::{Need, Rule};
pub use server::server;

/// The gateway's name as a caller.
pub const GATEWAY: &str = "gateway";
/// accounts' name as a caller.
pub const ACCOUNTS: &str = "accounts";
/// tokens' name as a caller.
pub const TOKENS: &str = "tokens";
/// platforms' name as a caller.
pub const PLATFORMS: &str = "platforms";
/// entitlements' name as a caller.
pub const ENTITLEMENTS: &str = "entitlements";
/// `socializioz admin …`.
pub const ADMIN: &str = "admin";
/// Who calls without a name on loopback in `dev` mode: allowed everywhere there, nowhere else.
pub const DEV: &str = "dev";
/// Stands in a [`Rule`] for the names in `auth.services`: composer, scheduler, analytics.
pub const SERVICES: &str = "*";

/// Largest message that a service takes: `.max_decoding_message_size(REQUEST_LIMIT)` on every server. Receipts, the largest, are
/// 64 KiB.
pub const REQUEST_LIMIT: usize = 256 * 1024;
/// Largest message that a service gives: `.max_encoding_message_size(ANSWER_LIMIT)` on every server. Lists come in pages; a
/// person's pages and organisations are the longest that does not.
pub const ANSWER_LIMIT: usize = 8 * 1024 * 1024;

const CALLER: &str = "x-socializioz-caller";
const IDENTITY: &str = "x-socializioz-identity";
const TRACEPARENT: &str = "traceparent";

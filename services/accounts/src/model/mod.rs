//! Types and pure rules of accounts: health, incidents, listing, cursors. No clock, no database, no calls.

pub(crate) mod account;
pub(crate) mod cursor;
pub(crate) mod health;
pub(crate) mod incident;
pub(crate) mod listing;
pub(crate) mod notices;
pub(crate) mod session;

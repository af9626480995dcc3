//! A real browser for tests: headless Chromium over the DevTools protocol.
//!
//! One Chromium serves the test process, each test has browser contexts and a hub of its own. A test acts as a person would
//! (clicks, keys, touches through the browser's input), waits for conditions, and fails when a page logs an error, throws or
//! breaks its content security policy. Pictures of failures are in `target/browser/failed`.

mod axe;
mod hands;
mod network;
mod pipe;
mod screen;
mod stage;
mod tab;

pub use network::Trouble;
pub use screen::Screen;
pub use stage::{Stage, Visitor, in_browser, in_browser_with};
pub use tab::Tab;

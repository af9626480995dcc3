//! The pages in a real browser, as people use them: the 66 checks of the page's acceptance list, each test named after the
//! numbers of those it carries (`c01_…`), its accessibility, its weight and speed, and pictures of every state.

mod access;
mod compose;
mod disconnect;
mod entry;
mod health;
mod live;
mod look;
mod panel;
mod phone;
mod plans;
mod reading;
mod reconnect;
mod speed;
mod steps;
mod toasts;
mod trouble;

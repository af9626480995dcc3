//! Tests of the pages as text: what they say, what they never say, how they are built. No service is needed: `Page::of` is pure.

mod budget;
mod layout;
mod reader;
mod safety;
mod words;

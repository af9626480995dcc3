//! A message in the page: what was just done, what went wrong and how to go on.

use super::card::Link;

/// A message.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    /// `green`, `amber`, `bad` or `plain`.
    pub(crate) kind: &'static str,
    pub(crate) text: String,
    pub(crate) lines: Vec<String>,
    pub(crate) link: Option<Link>,
}

impl Note {
    /// Something succeeded.
    pub(crate) fn green(text: impl Into<String>) -> Self {
        Self::of("green", text)
    }

    /// Something needs the reader.
    pub(crate) fn amber(text: impl Into<String>) -> Self {
        Self::of("amber", text)
    }

    /// Something failed.
    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::of("bad", text)
    }

    /// For information.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self::of("plain", text)
    }

    /// With one more sentence.
    pub(crate) fn line(mut self, text: impl Into<String>) -> Self {
        self.lines.push(text.into());
        self
    }

    /// With a way to go on.
    pub(crate) fn link(mut self, link: Link) -> Self {
        self.link = Some(link);
        self
    }

    fn of(kind: &'static str, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            lines: Vec::new(),
            link: None,
        }
    }
}

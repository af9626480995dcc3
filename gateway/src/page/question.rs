//! A question of its own page, which the script shows as a dialog: disconnect, plan prompt, how to connect.

use askama::Template;
use axum::response::Response;

use super::card::Link;
use super::filters;
use super::html;
use super::reader::Reader;
use super::shell::{Facts, Shell};
use crate::problem::Problem;

/// What is asked.
pub(crate) struct Question {
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
    pub(crate) facts: Vec<String>,
    pub(crate) methods: Vec<Method>,
    /// Where the answer is posted.
    pub(crate) action: String,
    pub(crate) platform: String,
    pub(crate) platform_name: String,
    pub(crate) starts_oauth: bool,
    pub(crate) submit: Option<&'static str>,
    pub(crate) danger: bool,
    pub(crate) link: Option<Link>,
    pub(crate) cancel: &'static str,
    pub(crate) back: String,
}

/// A way to connect.
pub(crate) struct Method {
    pub(crate) label: &'static str,
    pub(crate) glyph: String,
    pub(crate) hint: String,
    pub(crate) value: String,
}

#[derive(Template)]
#[template(path = "page/question.html")]
pub(crate) struct Page<'a> {
    pub(crate) shell: Shell,
    pub(crate) ask: &'a Question,
}

impl Question {
    /// A question with nothing but a way back.
    pub(crate) fn new(title: impl Into<String>, cancel: &'static str) -> Self {
        Self {
            title: title.into(),
            lines: Vec::new(),
            facts: Vec::new(),
            methods: Vec::new(),
            action: String::new(),
            platform: String::new(),
            platform_name: String::new(),
            starts_oauth: false,
            submit: None,
            danger: false,
            link: None,
            cancel,
            back: "/connections".to_owned(),
        }
    }

    /// With one more sentence.
    pub(crate) fn line(mut self, text: impl Into<String>) -> Self {
        self.lines.push(text.into());
        self
    }

    /// With a link as the answer.
    pub(crate) fn link(mut self, link: Link) -> Self {
        self.link = Some(link);
        self
    }

    /// Answering it starts a connect session.
    pub(crate) fn starts(mut self, platform: &str, name: &str, action: &str) -> Self {
        self.starts_oauth = true;
        (self.platform, self.platform_name, self.action) = (platform.into(), name.into(), action.into());
        self
    }

    /// With a button that answers it.
    pub(crate) fn submit(mut self, label: &'static str) -> Self {
        self.submit = Some(label);
        self
    }

    /// With several ways as answers.
    pub(crate) fn methods(mut self, methods: Vec<Method>) -> Self {
        self.methods = methods;
        self
    }

    /// The page of it.
    pub(crate) fn answer(&self, reader: &Reader, facts: &Facts) -> Result<Response, Problem> {
        html(&Page {
            shell: Shell::new(reader, facts, "connections", &self.title),
            ask: self,
        })
    }
}

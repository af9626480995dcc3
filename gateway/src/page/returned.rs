//! Pages without the frame: back from a platform, errors, a sign-in that expired. They need no service to be shown.

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::header;
use http::request::Parts;

use super::card::Link;
use super::filters;
use super::texts::{Texts, texts};
use crate::problem::ProblemBody;
use crate::view::{Locale, SessionView};

/// What the frame would otherwise carry.
pub(crate) struct Bare {
    pub(crate) t: &'static Texts,
    pub(crate) title: String,
    pub(crate) timezone: String,
}

#[derive(Template)]
#[template(path = "page/centre.html")]
pub(crate) struct Page {
    pub(crate) shell: Bare,
    pub(crate) heading: String,
    pub(crate) lines: Vec<String>,
    pub(crate) links: Vec<Link>,
    pub(crate) request_id: Option<String>,
    /// Id of the session that the opener waits for.
    pub(crate) returned: Option<String>,
    /// Where to go on by itself, in seconds and to what address.
    pub(crate) go_on: Option<(u8, String)>,
}

impl Page {
    /// A page that says one thing.
    pub(crate) fn new(t: &'static Texts, heading: impl Into<String>) -> Self {
        let heading = heading.into();
        Self {
            shell: Bare {
                t,
                title: heading.clone(),
                timezone: String::new(),
            },
            heading,
            lines: Vec::new(),
            links: Vec::new(),
            request_id: None,
            returned: None,
            go_on: None,
        }
    }
}

/// `GET /oauth/return/{session}`: tells the opener, or leads on by hand when nothing else happens.
pub(crate) fn page(session: Option<&SessionView>, t: &'static Texts) -> Response {
    let back = |session: &SessionView| Link::new(t.connect.return_to, format!("/connections?session={}", session.id));
    let Some(session) = session else {
        // A native app's browser, or somebody else's: what became of the session is not theirs to see.
        return show(&Page {
            lines: vec![t.connect.shows_the_result.to_owned()],
            links: vec![Link::new(t.connect.return_to, "/connections")],
            ..Page::new(t, t.connect.back_where_started)
        });
    };
    let page = match session.status {
        "pending" | "authorizing" => {
            let here = format!("/oauth/return/{}", session.id);
            Page {
                go_on: Some((2, here)),
                links: vec![back(session)],
                ..Page::new(t, t.connect.working)
            }
        }
        "choosing" => {
            let picker = format!("/connections/sessions/{}", session.id);
            let link = Link::new(t.connect.choose_submit, picker.clone());
            Page {
                go_on: Some((0, picker)),
                links: vec![link],
                ..Page::new(t, t.connect.choose_hint)
            }
        }
        "completed" => Page {
            links: vec![back(session)],
            ..Page::new(t, t.connect.you_are_connected)
        },
        "cancelled" => Page {
            links: vec![back(session)],
            ..Page::new(t, t.connect.cancelled)
        },
        "expired" => Page {
            links: vec![back(session)],
            ..Page::new(t, t.connect.expired)
        },
        _ => Page {
            links: vec![back(session)],
            ..Page::new(t, t.connect.failed)
        },
    };
    let is_over = page.go_on.is_none();
    let lines = if is_over && session.channel == "popup" {
        vec![t.connect.close_window.to_owned()]
    } else {
        Vec::new()
    };
    show(&Page {
        returned: is_over.then(|| session.id.clone()),
        lines,
        ..page
    })
}

/// `GET /signed-out`
pub(crate) fn signed_out(t: &'static Texts) -> Response {
    show(&Page {
        links: vec![Link::new(t.error.sign_in, "/connections")],
        ..Page::new(t, t.shell.signed_out)
    })
}

/// A failure as a page.
pub(crate) fn error(body: &ProblemBody, request: &Parts) -> Response {
    let accepts = request
        .headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok());
    let t = texts(Locale::parse(accepts.unwrap_or_default()));
    show(&of_problem(body, request.uri.path(), t))
}

/// The page of a failure; pure.
pub(crate) fn of_problem(body: &ProblemBody, path: &str, t: &'static Texts) -> Page {
    let words = &t.error;
    let (heading, line) = match body.status {
        401 => (words.signed_out, words.signed_out_hint.to_owned()),
        403 => (words.forbidden, sentence(&body.detail)),
        404 => (words.not_found, words.not_found_hint.to_owned()),
        500.. => (words.load, sentence(&body.detail)),
        _ => (body.title, sentence(&body.detail)),
    };
    let first = match body.status {
        // Coming back to where one was: only ever a path of our own.
        401 => Link::new(words.sign_in, local(path)),
        500.. => Link::new(t.act.try_again, local(path)),
        _ => Link::new(words.back, "/connections"),
    };
    let action = body
        .action
        .as_ref()
        .and_then(|action| Some(Link::new(action.label, action.href.clone()?)));
    let action = action.filter(|action| action.href != first.href && body.status != 401);
    Page {
        lines: vec![line],
        links: std::iter::once(first).chain(action).collect(),
        request_id: (!body.request_id.is_empty()).then(|| body.request_id.clone()),
        ..Page::new(t, heading)
    }
}

fn local(path: &str) -> &str {
    if path.starts_with('/') && !path.starts_with("//") {
        path
    } else {
        "/connections"
    }
}

/// Details are written without capital and full stop, for logs and programs.
fn sentence(detail: &str) -> String {
    let mut letters = detail.chars();
    let first: String = letters
        .next()
        .map(|letter| letter.to_uppercase().collect())
        .unwrap_or_default();
    let text = format!("{first}{}", letters.as_str());
    if text.is_empty() || text.ends_with('.') {
        text
    } else {
        format!("{text}.")
    }
}

fn show(page: &Page) -> Response {
    match page.render() {
        Ok(text) => axum::response::Html(text).into_response(),
        Err(_) => http::StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

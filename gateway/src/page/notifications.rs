//! `/notifications`: everything that a toast said, so that its time on screen is never the only chance.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use proto::accounts::v1::{ListNotificationsRequest, MarkNotificationReadRequest};
use serde::Deserialize;

use super::dates::When;
use super::filters;
use super::html;
use super::reader::Reader;
use super::shell::{Facts, Shell};
use crate::problem::Problem;
use crate::state::App;
use crate::view::{self, NotificationView};

const ROWS: i32 = 50;

/// A notification.
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) href: String,
    pub(crate) read: bool,
    pub(crate) at: When,
}

#[derive(Template)]
#[template(path = "page/notifications.html")]
pub(crate) struct Page {
    pub(crate) shell: Shell,
    pub(crate) rows: Vec<Row>,
    pub(crate) next: Option<String>,
}

/// What the address may say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Ask {
    cursor: String,
}

impl Page {
    /// The page of these notifications.
    pub(crate) fn of(found: Vec<NotificationView>, next_cursor: &str, facts: &Facts, reader: &Reader) -> Self {
        let next = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("cursor", next_cursor)
            .finish();
        let row = |one: NotificationView| Row {
            at: reader.ago(one.occurred_at).unwrap_or_default(),
            id: one.id,
            text: one.text,
            href: one.href,
            read: one.read,
        };
        Self {
            shell: Shell::new(reader, facts, "notifications", reader.t.shell.notifications),
            rows: found.into_iter().map(row).collect(),
            next: (!next_cursor.is_empty()).then(|| format!("/notifications?{next}")),
        }
    }
}

/// `GET /notifications`
pub(crate) async fn show(State(app): State<App>, reader: Reader, Query(ask): Query<Ask>) -> Result<Response, Problem> {
    let request = ListNotificationsRequest {
        workspace_id: reader.workspace(),
        limit: ROWS,
        cursor: ask.cursor,
    };
    let mut accounts = app.accounts();
    // The frame says from which event on the page has to be told: the list comes after it.
    let facts = Facts::load(&app, &reader).await;
    let listed = accounts
        .list_notifications(reader.context.request(request))
        .await?
        .into_inner();
    let found = listed
        .notifications
        .iter()
        .map(|one| view::notification(one, reader.lens.locale))
        .collect();
    html(&Page::of(found, &listed.next_cursor, &facts, &reader))
}

/// `POST /notifications/{id}/read`
pub(crate) async fn mark_read(
    State(app): State<App>,
    reader: Reader,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let request = MarkNotificationReadRequest {
        workspace_id: reader.workspace(),
        notification_id: id,
    };
    app.accounts()
        .mark_notification_read(reader.context.request(request))
        .await?;
    Ok(Redirect::to("/notifications").into_response())
}

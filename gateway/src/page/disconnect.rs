//! Disconnecting: asked first, with what it means; then done.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use proto::accounts::v1::DisconnectRequest;

use super::panel;
use super::question::Question;
use super::reader::Reader;
use super::shell::Facts;
use crate::problem::Problem;
use crate::state::App;

/// `GET /connections/{id}/disconnect`
pub(crate) async fn ask(State(app): State<App>, reader: Reader, Path(id): Path<String>) -> Result<Response, Problem> {
    let (account, facts) = tokio::join!(panel::account(&app, &reader, &id), Facts::load(&app, &reader));
    let account = account?;
    question(
        &id,
        &account.display_name,
        reader.lens.catalogue.short_title(&account.platform),
        &reader,
    )
    .answer(&reader, &facts)
}

/// `POST /connections/{id}/disconnect`
pub(crate) async fn confirm(
    State(app): State<App>,
    reader: Reader,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let request = DisconnectRequest {
        workspace_id: reader.workspace(),
        account_id: id.clone(),
        if_version: 0,
    };
    app.accounts().disconnect(reader.context.request(request)).await?;
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("disconnected", &id)
        .finish();
    Ok(Redirect::to(&format!("/connections?{query}")).into_response())
}

/// The question, with the three facts that the specification words.
pub(crate) fn question(id: &str, name: &str, platform: &str, reader: &Reader) -> Question {
    let t = reader.t;
    let mut question = Question::new(
        (t.panel.disconnect_title)(&(t.act.account_on)(name, platform)),
        t.act.cancel,
    );
    question.facts = t.panel.disconnect_facts.map(str::to_owned).into();
    question.action = format!("/connections/{id}/disconnect");
    question.danger = true;
    question.submit(t.act.disconnect)
}

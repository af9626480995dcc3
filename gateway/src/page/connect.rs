//! Connecting and reconnecting by plain forms: each ends in a redirect to the platform, or says why it does not begin.
//!
//! The page's script begins the same sessions through the API, in a pop-up; without it everything happens in this tab.

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use kit::Code;
use proto::accounts::v1::RequestReconnectRequest;
use serde::Deserialize;

use super::card::Link;
use super::face::glyph;
use super::panel;
use super::question::{Method, Question};
use super::reader::Reader;
use super::shell::Facts;
use super::tiles;
use crate::api::me;
use crate::api::sessions::{ChannelName, ConnectRequest, IntentName, Method as MethodName, ReturnTo, start};
use crate::problem::Problem;
use crate::session::Viewer;
use crate::state::App;

/// What a form that begins a session may send.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Begin {
    /// Comma separated.
    account_ids: String,
    /// For Instagram.
    method: String,
}

/// `GET /connections/connect/{platform}`: asks how, or says why it cannot be.
pub(crate) async fn ask(
    State(app): State<App>,
    reader: Reader,
    Path(platform): Path<String>,
) -> Result<Response, Problem> {
    let facts = Facts::load(&app, &reader).await;
    let tile = tiles::tiles(&facts, &reader)
        .into_iter()
        .find(|tile| tile.platform == platform);
    let tile = tile.ok_or_else(Problem::not_found)?;
    prompt(&tile, &facts, &reader).answer(&reader, &facts)
}

/// `POST /connections/connect/{platform}`
pub(crate) async fn connect(
    State(app): State<App>,
    viewer: Viewer,
    reader: Reader,
    Path(platform): Path<String>,
    Form(form): Form<Begin>,
) -> Result<Response, Problem> {
    let facts = Facts::load(&app, &reader).await;
    let tile = tiles::tiles(&facts, &reader)
        .into_iter()
        .find(|tile| tile.platform == platform);
    let tile = tile.ok_or_else(Problem::not_found)?;
    if tile.state != "available" || (tile.methods > 1 && form.method.is_empty()) {
        return prompt(&tile, &facts, &reader).answer(&reader, &facts);
    }
    begin(&app, &viewer, IntentName::Connect, platform, Vec::new(), &form.method).await
}

/// `POST /connections/{id}/reconnect`
pub(crate) async fn reconnect(
    State(app): State<App>,
    viewer: Viewer,
    reader: Reader,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let account = panel::account(&app, &reader, &id).await?;
    begin(&app, &viewer, IntentName::Reconnect, account.platform, vec![id], "").await
}

/// `POST /connections/reconnect`: several accounts by one sign-in.
pub(crate) async fn reconnect_several(
    State(app): State<App>,
    viewer: Viewer,
    reader: Reader,
    Form(form): Form<Begin>,
) -> Result<Response, Problem> {
    let ids: Vec<String> = form
        .account_ids
        .split(',')
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .collect();
    let first = ids
        .first()
        .ok_or_else(|| Problem::invalid("/account_ids", "name one or more accounts"))?;
    let account = panel::account(&app, &reader, first).await?;
    begin(&app, &viewer, IntentName::Reconnect, account.platform, ids, "").await
}

/// `POST /connections/{id}/ask`: a member asks owners and admins to reconnect.
pub(crate) async fn ask_admin(
    State(app): State<App>,
    reader: Reader,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let request = RequestReconnectRequest {
        workspace_id: reader.workspace(),
        account_id: id,
    };
    app.accounts()
        .request_reconnect(reader.context.request(request))
        .await?;
    Ok(Redirect::to("/connections?did=asked").into_response())
}

/// A platform to come.
#[derive(Debug, Deserialize)]
pub(crate) struct Awaited {
    platform: String,
}

/// `POST /connections/notify`: the reader wants to hear when a platform can be connected.
pub(crate) async fn notify(
    State(app): State<App>,
    viewer: Viewer,
    Form(awaited): Form<Awaited>,
) -> Result<Response, Problem> {
    let catalogue = app.catalogue().await?;
    let platform = catalogue.platform(&awaited.platform).ok_or_else(Problem::not_found)?;
    me::remember_interest(&app, &viewer, &platform.id).await?;
    Ok(Redirect::to("/connections#add").into_response())
}

async fn begin(
    app: &App,
    viewer: &Viewer,
    intent: IntentName,
    platform: String,
    account_ids: Vec<String>,
    method: &str,
) -> Result<Response, Problem> {
    let request = ConnectRequest {
        intent,
        platform,
        account_ids,
        channel: ChannelName::Redirect,
        return_to: Some(ReturnTo::Connections),
        method: match method {
            "facebook_login" => Some(MethodName::FacebookLogin),
            "instagram_login" => Some(MethodName::InstagramLogin),
            _ => None,
        },
    };
    let (session, transaction) = start(app, viewer, viewer.person.workspace_id.clone(), request).await?;
    let address = session
        .authorize_url
        .ok_or_else(|| Problem::new(Code::Internal, "the session has no address"))?;
    let mut response = Redirect::to(&address).into_response();
    transaction.keep(app, response.headers_mut());
    Ok(response)
}

/// What is asked, or said, before a platform is connected.
pub(crate) fn prompt(tile: &tiles::Tile, facts: &Facts, reader: &Reader) -> Question {
    let t = reader.t;
    let plans = |question: Question| {
        if reader.owns() {
            return question.link(Link::new(t.act.see_plans, reader.lens.links.billing()));
        }
        question.line(t.act.ask_owner)
    };
    match tile.state {
        "coming_soon" => Question::new(t.plan.coming_soon, t.act.close).line((t.plan.coming_soon_long)(&tile.title)),
        "plan_locked" => {
            let question = Question::new((t.plan.platform_on)(&tile.short_title, &tile.plan), t.act.cancel);
            if tile.soon {
                return question.line(t.plan.coming_soon);
            }
            plans(question.line((t.plan.available_on)(&tile.plan)))
        }
        "full" => {
            let limit = tiles::limit(facts, reader);
            let title = limit.as_ref().map(|limit| limit.text.clone()).unwrap_or_default();
            let used = limit.map(|limit| limit.used).unwrap_or_default();
            plans(Question::new(title, t.act.cancel).line(used).line(t.plan.limit_hint))
        }
        "read_only" => Question::new(t.error.forbidden, t.act.close).line(t.error.forbidden_hint),
        _ => how(tile, reader),
    }
}

fn how(tile: &tiles::Tile, reader: &Reader) -> Question {
    let t = reader.t;
    let title = format!("{} {}", t.act.connect, tile.title);
    let action = format!("/connections/connect/{}", tile.platform);
    let question = Question::new(title, t.act.cancel).starts(&tile.platform, &tile.short_title, &action);
    let connectors = reader
        .lens
        .catalogue
        .platform(&tile.platform)
        .map_or(&[][..], |p| &p.connectors);
    if connectors.len() < 2 {
        let count = connectors.first().map_or(0, |connector| connector.scopes.len());
        let asks = (t.connect.asks_for)(&tile.short_title, count.try_into().unwrap_or(0));
        return question.line(asks).line(t.connect.never_stored).submit(t.act.connect);
    }
    let methods = connectors.iter().map(|connector| Method {
        label: if connector.method == "facebook_login" {
            t.connect.method_facebook
        } else {
            t.connect.method_instagram
        },
        glyph: glyph(if connector.method == "facebook_login" {
            "facebook"
        } else {
            &tile.platform
        }),
        hint: (t.connect.asks_for)(&tile.short_title, connector.scopes.len().try_into().unwrap_or(0)),
        value: connector.method.clone(),
    });
    question.line(t.connect.method).methods(methods.collect())
}

//! `POST /dev/session`: in `dev` mode alone, become another person, role or workspace, and change the plan.

use axum::Router;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use http::{StatusCode, header};
use kit::{Code, Person, Role};
use proto::entitlements::v1::SetPlanRequest;
use serde::Deserialize;

use crate::api::Body;
use crate::auth::{self, PERSONS, WORKSPACE};
use crate::cookies::{self, Cookie};
use crate::problem::Problem;
use crate::session::{Identity, context};
use crate::state::App;

/// Routes of `dev` mode; there are none otherwise.
pub(crate) fn router(app: &App) -> Router<App> {
    if app.auth.is_dev() {
        Router::new().route("/dev/session", post(switch))
    } else {
        Router::new()
    }
}

/// Whom to be; what is absent stays as it is.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    #[serde(default)]
    user: String,
    #[serde(default)]
    workspace: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    plan: String,
}

async fn switch(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let now = request.extensions().get::<Identity>().cloned();
    let is_form = is_form(&request);
    let wanted = read(&app, request, is_form).await?;
    let (old_workspace, old_role) = now
        .as_ref()
        .and_then(|now| now.memberships.first())
        .map_or((WORKSPACE, Role::Owner), |(id, role)| (id, *role));
    let user = or(
        &wanted.user,
        now.as_ref().map_or(PERSONS[0].user_id, |now| &now.user_id),
    );
    let workspace = or(&wanted.workspace, old_workspace);
    if !auth::is_id(user) || !auth::is_id(workspace) {
        return Err(Problem::invalid("/user", "ids are 1 to 64 of A-Z, a-z, 0-9, _ and -"));
    }
    let role = match wanted.role.as_str() {
        // A demo person comes with their own role, unless one is named.
        "" => PERSONS
            .iter()
            .find(|person| person.user_id == wanted.user)
            .map_or(old_role, |person| person.role),
        text => Role::parse(text).ok_or_else(|| Problem::invalid("/role", "is none of owner, admin, member"))?,
    };
    if !wanted.plan.is_empty() {
        set_plan(&app, workspace, wanted.plan).await?;
    }
    let mut response = if is_form {
        Redirect::to("/connections").into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    };
    let value = auth::session(user, workspace, role);
    let cookie = Cookie {
        plain_name: cookies::SESSION,
        value: &value,
        https: app.config.is_https(),
        max_age_seconds: None,
    };
    cookie.set(response.headers_mut());
    Ok(response)
}

/// Plans are the owner's: the demo owner changes them for whoever asks.
async fn set_plan(app: &App, workspace: &str, plan: String) -> Result<(), Problem> {
    let owner = Person {
        user_id: PERSONS[0].user_id.into(),
        name: PERSONS[0].name.into(),
        workspace_id: workspace.to_owned(),
        role: Role::Owner,
    };
    let message = SetPlanRequest {
        workspace_id: workspace.to_owned(),
        plan,
    };
    app.entitlements()
        .set_plan(context(app, owner).request(message))
        .await?;
    Ok(())
}

fn is_form(request: &Request) -> bool {
    let media_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    media_type.starts_with("application/x-www-form-urlencoded")
}

async fn read(app: &App, request: Request, is_form: bool) -> Result<Switch, Problem> {
    if is_form {
        let form = axum::Form::<Switch>::from_request(request, app).await;
        return form
            .map(|axum::Form(form)| form)
            .map_err(|_| Problem::new(Code::ValidationFailed, "the form is not usable"));
    }
    Body::<Switch>::from_request(request, app).await.map(|Body(body)| body)
}

fn or<'a>(wanted: &'a str, otherwise: &'a str) -> &'a str {
    if wanted.is_empty() { otherwise } else { wanted }
}

//! What Facebook says about tokens and permissions, and how an app gives them back. A token that is no longer good is
//! described with HTTP 200.

use serde_json::{Value, json};

use super::{access_token, caller};
use crate::call::Reply;
use crate::graph::GraphError;
use crate::platform::{Cx, Platform};
use crate::world::tokens::{Death, Grant, Kind, Token};

const DATA_ACCESS_SECONDS: i64 = 90 * 86_400;

/// Only the app itself may look: `access_token={app id}|{app secret}`.
fn app_token(cx: &Cx<'_>) -> Result<(), GraphError> {
    let app = &cx.world.apps.facebook;
    let value = access_token(cx.call).unwrap_or_default();
    match value.split_once('|') {
        Some((id, secret)) if id == app.client_id && secret == app.client_secret => Ok(()),
        Some((id, _)) if id == app.client_id => Err(GraphError::new(190, "Invalid OAuth access token signature.")),
        Some(_) => Err(GraphError::new(
            101,
            "Error validating application. Invalid application ID.",
        )),
        None => Err(GraphError::parameter(
            "You must provide an app access token, or a user access token that is an owner or developer of the app",
        )),
    }
}

pub(super) fn debug_token(cx: &mut Cx<'_>) -> Result<Reply, GraphError> {
    app_token(cx)?;
    let value = cx.call.graph_param("input_token");
    let value = value.ok_or_else(|| GraphError::parameter("The parameter input_token is required"))?;
    let token = cx
        .world
        .token(&value)
        .filter(|token| token.platform == Platform::Facebook)
        .cloned();
    let known = token.and_then(|token| Some((cx.world.grant(token.grant)?.clone(), token)));
    let Some((grant, token)) = known else {
        let error = json!({"code": 190, "message": "Malformed access token"});
        let body = json!({"data": {"error": error, "is_valid": false, "scopes": []}});
        return Ok(Reply::json(200, &body).because("190: malformed access token"));
    };
    let mut data = description(cx, &token, &grant);
    if let Err(death) = cx.world.check(&token) {
        let app_id = &cx.world.apps.facebook.client_id;
        let error = GraphError::dead(death, &token, app_id, cx.world.now_ms());
        data["is_valid"] = json!(false);
        data["scopes"] = json!([]);
        data["error"] = json!({"code": error.code, "message": error.message, "subcode": error.subcode});
        if let Some(members) = data.as_object_mut() {
            members.remove("granular_scopes");
        }
        return Ok(Reply::json(200, &json!({"data": data})).because(format!("not valid: {death:?}")));
    }
    Ok(Reply::json(200, &json!({"data": data})))
}

fn description(cx: &Cx<'_>, token: &Token, grant: &Grant) -> Value {
    let user = cx.world.person(&token.person).map(|person| person.facebook_id.clone());
    let mut data = json!({
        "app_id": cx.world.apps.facebook.client_id,
        "type": if token.kind == Kind::Page { "PAGE" } else { "USER" },
        "application": "Sandbox Hub",
        "data_access_expires_at": grant.granted_at_ms / 1000 + DATA_ACCESS_SECONDS,
        "expires_at": token.expires_at_ms.map_or(0, |end| end / 1000),
        "is_valid": true,
        "scopes": grant.scopes,
        "granular_scopes": grant.scopes.iter().map(|scope| granular(cx, grant, scope)).collect::<Vec<_>>(),
        "user_id": user,
    });
    if token.kind != Kind::Short {
        data["issued_at"] = json!(token.issued_at_ms / 1000);
    }
    if let Some(page) = &token.destination {
        data["profile_id"] = json!(page);
    }
    data
}

/// Page permissions list the Pages that were ticked, Instagram's the accounts linked to them, others nothing.
fn granular(cx: &Cx<'_>, grant: &Grant, scope: &str) -> Value {
    let pages = grant.destinations.iter();
    if scope.starts_with("pages_") || scope == "read_insights" {
        json!({"scope": scope, "target_ids": pages.collect::<Vec<_>>()})
    } else if scope.starts_with("instagram_") {
        let accounts = pages.filter_map(|id| cx.world.page(id)?.instagram.clone());
        json!({"scope": scope, "target_ids": accounts.collect::<Vec<_>>()})
    } else {
        json!({"scope": scope})
    }
}

pub(super) fn permissions(cx: &Cx<'_>) -> Result<Reply, GraphError> {
    let caller = caller(cx)?;
    let row = |status: &'static str| move |permission: &String| json!({"permission": permission, "status": status});
    let granted = caller.grant.scopes.iter().map(row("granted"));
    let rows: Vec<Value> = granted
        .chain(caller.grant.declined.iter().map(row("declined")))
        .collect();
    Ok(Reply::json(200, &json!({"data": rows})))
}

/// The app gives back the whole grant, or one permission of it.
pub(super) fn give_back(cx: &mut Cx<'_>, user: &str, permission: Option<&str>) -> Result<Reply, GraphError> {
    let grant = if app_token(cx).is_ok() {
        let person = cx.world.people.iter().find(|person| person.facebook_id == user);
        let grant = person.and_then(|person| cx.world.grant_of(Platform::Facebook, person.id));
        grant
            .filter(|grant| !grant.ended)
            .cloned()
            .ok_or_else(|| GraphError::unknown_object(user))?
    } else {
        let caller = caller(cx)?;
        if user != "me" && user != caller.person.facebook_id {
            return Err(GraphError::unknown_object(user));
        }
        caller.grant
    };
    match permission {
        None => cx.world.end_grant(grant.id, Death::Revoked),
        Some(permission) if grant.has(permission) => cx.world.shrink_scopes(grant.id, &[permission.to_owned()]),
        Some(permission) => return Err(GraphError::parameter(format!("{permission} was not granted"))),
    }
    Ok(Reply::json(200, &json!({"success": true})))
}

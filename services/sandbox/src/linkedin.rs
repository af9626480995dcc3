//! LinkedIn: all-or-nothing consent, tokens of 60 days, refresh tokens for partners only with an end that never moves,
//! introspection. Members, organisations and posts are in `linkedin/api.rs`. One grant per person: consenting to another
//! set of scopes ends the tokens of the set before.

mod api;

use serde_json::{Value, json};

use crate::call::{Call, Reply};
use crate::consent::{self, Dialog, Verdict};
use crate::platform::{Cx, Imitation, Operation, Platform};
use crate::switches::{Effect, Kept, RateLimit};
use crate::world::World;
use crate::world::profile::Separator;
use crate::world::tokens::{CodeProblem, Death, Kind, NewToken, Token};

const CODE_SECONDS: i64 = 1800;
const ACCESS_SECONDS: i64 = 60 * 86_400;
const REFRESH_SECONDS: i64 = 365 * 86_400;
/// Tokens are about 500 characters long.
const LENGTH: usize = 480;
/// Scopes that this app was given.
const SCOPES: [&str; 9] = [
    "openid",
    "profile",
    "email",
    "w_member_social",
    "r_basicprofile",
    "r_organization_social",
    "w_organization_social",
    "r_organization_admin",
    "rw_organization_admin",
];

/// The imitation.
pub(crate) struct LinkedIn;

impl Imitation for LinkedIn {
    fn recognise(&self, call: &Call) -> Option<Operation> {
        match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", ["oauth", "v2", "authorization"]) => Some(Operation::Dialog),
            ("POST", ["oauth", "v2", "authorization"]) => Some(Operation::Consent),
            (_, ["oauth", "v2", "accessToken"]) => match call.form.first("grant_type") {
                Some("refresh_token") => Some(Operation::Refresh),
                _ => Some(Operation::Exchange),
            },
            (_, ["oauth", "v2", "introspectToken"]) => Some(Operation::Inspect),
            (_, ["oauth", "v2", "revoke"]) => Some(Operation::Revoke),
            (_, ["v2", "userinfo" | "me"]) => Some(Operation::Identity),
            (_, ["v2" | "rest", "organizationAcls" | "organizations", ..]) => Some(Operation::Discover),
            ("GET", ["rest", "posts", ..]) => Some(Operation::Posts),
            (_, ["rest", ..]) => Some(Operation::Publish),
            _ => None,
        }
    }

    fn answer(&self, cx: &mut Cx<'_>) -> Reply {
        let call = cx.call;
        let result = match (call.method.as_str(), call.segments().as_slice()) {
            ("POST", ["oauth", "v2", "accessToken"]) => token(cx),
            ("POST", ["oauth", "v2", "introspectToken"]) => introspect(cx),
            ("POST", ["oauth", "v2", "revoke"]) => revoke(cx),
            (_, path) => api::route(cx, path),
        };
        result.unwrap_or_else(|refusal| refusal)
    }

    fn dialog(&self, world: &World, call: &Call) -> Result<Dialog, Reply> {
        let refuse = |detail: &str| {
            let title = "Bummer, something went wrong.";
            Err(consent::refusal_page(
                Platform::LinkedIn,
                title,
                detail,
                &format!("authorization: {detail}"),
            ))
        };
        let query = &call.query;
        if query.first("client_id") != Some(world.apps.linkedin.client_id.as_str()) {
            return refuse("The passed in client_id is invalid.");
        }
        let Some(redirect_uri) = query
            .first("redirect_uri")
            .filter(|uri| consent::redirect_is_acceptable(uri))
        else {
            return refuse("The redirect_uri does not match the registered value.");
        };
        if query.first("response_type") != Some("code") {
            return refuse("You need to pass the response_type parameter.");
        }
        let state = query.first("state");
        let scopes = consent::split_scopes(query.first("scope"), &[' ']);
        let unknown = scopes.iter().find(|scope| !SCOPES.contains(&scope.as_str()));
        if let Some(unknown) = unknown.cloned().or_else(|| scopes.is_empty().then(String::new)) {
            let description = format!("Scope \"{unknown}\" is not authorized for your application");
            let mut parameters = vec![
                ("error", "unauthorized_scope_error"),
                ("error_description", &description),
            ];
            parameters.extend(state.map(|state| ("state", state)));
            let location = consent::callback_url(redirect_uri, &parameters, None);
            return Err(Reply::redirect(&location).because("unauthorized_scope_error"));
        }
        let dialog = Dialog::new(Platform::LinkedIn, redirect_uri, state, scopes);
        Ok(Dialog {
            all_or_nothing: true,
            code_form: ("SBXLI", ""),
            ..dialog
        })
    }

    fn callback(&self, dialog: &Dialog, verdict: &Verdict) -> String {
        let mut parameters = match verdict {
            Verdict::Allowed { code, .. } => vec![("code", code.as_str())],
            Verdict::Cancelled => vec![
                ("error", "user_cancelled_authorize"),
                ("error_description", "The user cancelled the authorization"),
            ],
        };
        parameters.extend(dialog.state.as_deref().map(|state| ("state", state)));
        consent::callback_url(&dialog.redirect_uri, &parameters, None)
    }

    fn rate_limited(&self, limit: &RateLimit, now_ms: i64) -> Reply {
        let message = "Resource level throttle APPLICATION DAY limit for calls to this resource is reached.";
        let reply = api_error(429, Some(101), "TOO_MANY_REQUESTS", message);
        match limit.retry_after.header(now_ms) {
            Some(value) => reply.with("retry-after", &value),
            None => reply,
        }
    }

    fn server_error(&self, status: u16) -> Reply {
        api_error(status, None, "INTERNAL_SERVER_ERROR", "Internal Server Error")
    }

    fn wrong_secret(&self) -> Reply {
        oauth_error(401, "invalid_client", "Client authentication failed")
    }

    fn version_retired(&self) -> Reply {
        api::version_retired("202301")
    }
}

fn oauth_error(status: u16, error: &str, description: &str) -> Reply {
    let body = json!({"error": error, "error_description": description});
    Reply::json(status, &body).because(format!("{error}: {description}"))
}

fn api_error(status: u16, service: Option<u32>, code: &str, message: &str) -> Reply {
    let mut body = json!({"status": status, "code": code, "message": message});
    if let Some(service) = service {
        body["serviceErrorCode"] = json!(service);
    }
    Reply::json(status, &body).because(format!("{code}: {message}"))
}

fn required<'a>(cx: &Cx<'a>, name: &str) -> Result<&'a str, Reply> {
    let missing = || {
        oauth_error(
            400,
            "invalid_request",
            &format!("A required parameter \"{name}\" is missing"),
        )
    };
    cx.call.form.first(name).ok_or_else(missing)
}

/// The secret belongs into the body; a Basic header is not read.
fn client(cx: &Cx<'_>) -> Result<(), Reply> {
    let app = &cx.world.apps.linkedin;
    if required(cx, "client_id")? != app.client_id || required(cx, "client_secret")? != app.client_secret {
        return Err(oauth_error(401, "invalid_client", "Client authentication failed"));
    }
    Ok(())
}

fn token(cx: &mut Cx<'_>) -> Result<Reply, Reply> {
    match required(cx, "grant_type")? {
        "authorization_code" => {
            client(cx)?;
            exchange(cx)
        }
        "refresh_token" => {
            client(cx)?;
            refresh(cx)
        }
        other => Err(oauth_error(
            400,
            "unsupported_grant_type",
            &format!("grant type {other} is not supported"),
        )),
    }
}

fn exchange(cx: &mut Cx<'_>) -> Result<Reply, Reply> {
    let (value, redirect_uri) = (required(cx, "code")?, required(cx, "redirect_uri")?);
    let mismatch = || {
        let text = "Unable to retrieve access token: appid/redirect uri/code verifier does not match authorization code. \
                    Or authorization code expired. Or external member binding exists";
        oauth_error(400, "invalid_redirect_uri", text)
    };
    let code = cx
        .world
        .code(Platform::LinkedIn, value, CODE_SECONDS)
        .map_err(|problem| match problem {
            CodeProblem::Late => mismatch().because(problem.outcome()),
            CodeProblem::Unknown | CodeProblem::Used => {
                let text = "Unable to retrieve access token: authorization code not found";
                oauth_error(401, "invalid_request", text).because(problem.outcome())
            }
        })?;
    if code.redirect_uri != redirect_uri {
        return Err(mismatch().because("redirect uri differs"));
    }
    cx.world.use_code(value);
    let refresh = cx.world.profile.linkedin_partner.then(|| {
        let seconds = cx.effects.refresh_seconds(REFRESH_SECONDS);
        issue(cx, Kind::Refresh, "SBXLIrefresh", code.grant, seconds, None)
    });
    let seconds = cx.effects.access_seconds(ACCESS_SECONDS);
    let access = issue(cx, Kind::Access, "SBXLIaccess", code.grant, seconds, None);
    Ok(token_reply(cx, &access, refresh.as_ref(), None))
}

fn issue(cx: &mut Cx<'_>, kind: Kind, prefix: &'static str, grant: u64, seconds: i64, parent: Option<u64>) -> Token {
    let seconds = Some(seconds);
    cx.world.issue(NewToken {
        kind,
        grant,
        prefix,
        length: LENGTH,
        seconds,
        parent,
        destination: None,
    })
}

/// The same refresh token comes back with what is left of its year; the access token lives no longer than that.
fn refresh(cx: &mut Cx<'_>) -> Result<Reply, Reply> {
    let value = required(cx, "refresh_token")?;
    let dead = |why: &str| {
        let text = "The provided authorization grant or refresh token is invalid, expired or revoked.";
        oauth_error(400, "invalid_request", text).because(format!("refresh token {why}"))
    };
    let token = cx
        .world
        .token(value)
        .filter(|token| token.platform == Platform::LinkedIn && token.kind == Kind::Refresh);
    let token = token.cloned().ok_or_else(|| dead("unknown"))?;
    cx.world
        .check(&token)
        .map_err(|death| dead(&format!("{death:?}").to_lowercase()))?;
    if let Some(remove) = cx.effects.find(|effect| match effect {
        Effect::ShrinkScopes { remove } => Some(remove),
        _ => None,
    }) {
        cx.world.shrink_scopes(token.grant, remove);
    }
    let left = token.seconds_left(cx.world.now_ms()).unwrap_or(ACCESS_SECONDS);
    let seconds = cx.effects.access_seconds(ACCESS_SECONDS.min(left));
    let access = issue(cx, Kind::Access, "SBXLIaccess", token.grant, seconds, Some(token.id));
    let kept = cx.effects.find(|effect| match effect {
        Effect::KeepRefreshToken { answer } => Some(*answer),
        _ => None,
    });
    Ok(token_reply(cx, &access, Some(&token), kept))
}

fn token_reply(cx: &Cx<'_>, access: &Token, refresh: Option<&Token>, kept: Option<Kept>) -> Reply {
    let now = cx.world.now_ms();
    let mut body = json!({
        "access_token": access.value, "expires_in": access.seconds_left(now),
        "scope": scope_text(cx, access.grant), "token_type": "Bearer",
    });
    if let Some(refresh) = refresh {
        body["refresh_token_expires_in"] = json!(refresh.seconds_left(now));
        match kept {
            Some(Kept::Missing) => {}
            Some(Kept::Empty) => body["refresh_token"] = json!(""),
            _ => body["refresh_token"] = json!(refresh.value),
        }
    }
    Reply::json(200, &body)
}

fn scope_text(cx: &Cx<'_>, grant: u64) -> String {
    let scopes = cx
        .world
        .grant(grant)
        .map(|grant| grant.scopes.iter().cloned().collect::<Vec<_>>());
    let separator = match cx.world.profile.linkedin_scope_separator {
        Separator::Comma => ",",
        Separator::Space => " ",
    };
    scopes.unwrap_or_default().join(separator)
}

fn introspect(cx: &Cx<'_>) -> Result<Reply, Reply> {
    client(cx)?;
    let token = cx
        .world
        .token(required(cx, "token")?)
        .filter(|token| token.platform == Platform::LinkedIn);
    let known = token.and_then(|token| Some((token, cx.world.grant(token.grant)?)));
    let Some((token, grant)) = known else {
        return Ok(Reply::json(200, &json!({"active": false})));
    };
    let (active, status) = match cx.world.check(token) {
        Ok(()) => (true, "active"),
        Err(Death::Expired) => (false, "expired"),
        Err(_) => (false, "revoked"),
    };
    let mut body: Value = json!({
        "active": active, "client_id": cx.world.apps.linkedin.client_id, "status": status, "auth_type": "3L",
        "authorized_at": grant.granted_at_ms / 1000, "created_at": token.issued_at_ms / 1000,
        "scope": grant.scopes.iter().cloned().collect::<Vec<_>>().join(","),
    });
    if let Some(end) = token.expires_at_ms {
        body["expires_at"] = json!(end / 1000);
    }
    Ok(Reply::json(200, &body).because(if active { "ok" } else { status }))
}

/// Not in the public documents; ends the token that is named.
fn revoke(cx: &mut Cx<'_>) -> Result<Reply, Reply> {
    client(cx)?;
    let token = cx
        .world
        .token(required(cx, "token")?)
        .filter(|token| token.platform == Platform::LinkedIn);
    if let Some(id) = token.map(|token| token.id) {
        cx.world.end_token(id, Death::Revoked);
    }
    Ok(Reply::empty(200))
}

//! X: OAuth 2.0 with mandatory PKCE, HTTP Basic at the token endpoint, codes of 30 seconds, refresh tokens that work
//! once, problem+json from the API. One grant per consent, one account per grant.

mod api;

use serde_json::json;

use crate::call::{Call, Reply};
use crate::consent::{self, Dialog, Verdict};
use crate::crypto;
use crate::platform::{Cx, Imitation, Operation, Platform};
use crate::switches::{Kept, RateLimit};
use crate::world::World;
use crate::world::rotation::{Mint, Pair, rotate};
use crate::world::tokens::{Death, Kind};

const CODE_SECONDS: i64 = 30;
const STATE_LIMIT: usize = 500;
const MINT: Mint = Mint {
    access_prefix: "SBXXaccess",
    refresh_prefix: "SBXXrefresh",
    length: 70,
    access_seconds: 7200,
    refresh_seconds: 180 * 86_400,
};
const SCOPES: [&str; 23] = [
    "tweet.read",
    "tweet.write",
    "tweet.moderate.write",
    "users.read",
    "users.email",
    "follows.read",
    "follows.write",
    "offline.access",
    "space.read",
    "mute.read",
    "mute.write",
    "like.read",
    "like.write",
    "list.read",
    "list.write",
    "block.read",
    "block.write",
    "bookmark.read",
    "bookmark.write",
    "dm.read",
    "dm.write",
    "media.write",
    "timeline.read",
];
const WRONG_TOKEN: &str = "Value passed for the token was invalid.";

/// The imitation.
pub(crate) struct X;

impl Imitation for X {
    fn recognise(&self, call: &Call) -> Option<Operation> {
        match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", ["i", "oauth2", "authorize"]) => Some(Operation::Dialog),
            ("POST", ["i", "oauth2", "authorize"]) => Some(Operation::Consent),
            (_, ["2", "oauth2", "token"]) => match call.form.first("grant_type") {
                Some("refresh_token") => Some(Operation::Refresh),
                _ => Some(Operation::Exchange),
            },
            (_, ["2", "oauth2", "revoke"]) => Some(Operation::Revoke),
            (_, ["2", "users", "me"]) => Some(Operation::Identity),
            ("GET", ["2", "users", _, "tweets"]) => Some(Operation::Posts),
            (_, ["2", ..]) => Some(Operation::Publish),
            _ => None,
        }
    }

    fn answer(&self, cx: &mut Cx<'_>) -> Reply {
        let call = cx.call;
        match (call.method.as_str(), call.segments().as_slice()) {
            ("POST", ["2", "oauth2", "token"]) => token(cx).unwrap_or_else(|refusal| refusal),
            ("POST", ["2", "oauth2", "revoke"]) => revoke(cx).unwrap_or_else(|refusal| refusal),
            ("GET", ["2", "users", "me"]) => api::me(cx).unwrap_or_else(|refusal| refusal),
            ("GET", ["2", "users", id, "tweets"]) => api::timeline(cx, id).unwrap_or_else(|refusal| refusal),
            ("POST", ["2", "tweets"]) => api::tweet(cx).unwrap_or_else(|refusal| refusal),
            _ => problem(404, "Not Found", "Not Found", "about:blank"),
        }
    }

    fn dialog(&self, world: &World, call: &Call) -> Result<Dialog, Reply> {
        let refuse = |detail: &str| {
            Err(consent::refusal_page(
                Platform::X,
                "Something went wrong",
                &format!("You weren't able to give access to the App. {detail}"),
                &format!("authorize: {detail}"),
            ))
        };
        let query = &call.query;
        if query.first("client_id") != Some(world.apps.x.client_id.as_str()) {
            return refuse("Missing or unknown client_id.");
        }
        if query.first("response_type") != Some("code") {
            return refuse("response_type must be code.");
        }
        let Some(redirect_uri) = query
            .first("redirect_uri")
            .filter(|uri| consent::redirect_is_acceptable(uri))
        else {
            return refuse("Missing or unregistered redirect_uri.");
        };
        let Some(state) = query.first("state").filter(|state| state.len() <= STATE_LIMIT) else {
            return refuse("Missing state, or state longer than 500 characters.");
        };
        let scopes = consent::split_scopes(query.first("scope"), &[' ']);
        if scopes.is_empty() || scopes.iter().any(|scope| !SCOPES.contains(&scope.as_str())) {
            return refuse("Missing or invalid scope: scopes are separated by spaces.");
        }
        let challenge = match (query.first("code_challenge"), query.first("code_challenge_method")) {
            (Some(challenge), Some("S256")) if is_s256(challenge) => ("S256".to_owned(), challenge.to_owned()),
            (Some(challenge), Some("plain")) => ("plain".to_owned(), challenge.to_owned()),
            _ => return refuse("Missing or invalid code_challenge or code_challenge_method."),
        };
        let challenge = Some(challenge);
        let dialog = Dialog::new(Platform::X, redirect_uri, Some(state), scopes);
        Ok(Dialog {
            challenge,
            code_form: ("SBXX", ""),
            ..dialog
        })
    }

    fn callback(&self, dialog: &Dialog, verdict: &Verdict) -> String {
        let state = dialog.state.as_deref().unwrap_or_default();
        match verdict {
            Verdict::Allowed { code, .. } => {
                consent::callback_url(&dialog.redirect_uri, &[("state", state), ("code", code)], None)
            }
            Verdict::Cancelled => consent::callback_url(
                &dialog.redirect_uri,
                &[("error", "access_denied"), ("state", state)],
                None,
            ),
        }
    }

    fn rate_limited(&self, limit: &RateLimit, now_ms: i64) -> Reply {
        let reset = (now_ms / 1000 + 900).to_string();
        let reply = problem(429, "Too Many Requests", "Too Many Requests", "about:blank")
            .with("x-rate-limit-limit", "75")
            .with("x-rate-limit-remaining", "0")
            .with("x-rate-limit-reset", &reset);
        match limit.retry_after.header(now_ms) {
            Some(value) => reply.with("retry-after", &value),
            None => reply,
        }
    }

    fn server_error(&self, status: u16) -> Reply {
        problem(status, "Service Unavailable", "Service Unavailable", "about:blank")
    }

    fn wrong_secret(&self) -> Reply {
        unauthorized_client()
    }

    fn version_retired(&self) -> Reply {
        problem(410, "Gone", "This version of the API was retired.", "about:blank")
    }
}

/// 43 characters of base64url: a hex challenge or a padded one is refused here.
fn is_s256(challenge: &str) -> bool {
    challenge.len() == 43
        && challenge
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn problem(status: u16, title: &str, detail: &str, kind: &str) -> Reply {
    let body = json!({"title": title, "detail": detail, "type": kind, "status": status});
    Reply::problem(status, &body).because(format!("{status} {title}: {detail}"))
}

fn oauth_error(status: u16, error: &str, description: &str) -> Reply {
    let body = json!({"error": error, "error_description": description});
    Reply::json(status, &body).because(format!("{error}: {description}"))
}

fn unauthorized_client() -> Reply {
    oauth_error(401, "unauthorized_client", "Missing valid authorization header")
}

fn required<'a>(call: &'a Call, name: &str) -> Result<&'a str, Reply> {
    let missing = || oauth_error(400, "invalid_request", &format!("Missing required parameter [{name}]."));
    call.form.first(name).ok_or_else(missing)
}

/// The Basic header, and the `client_id` that must be in the body as well.
fn client(cx: &Cx<'_>) -> Result<(), Reply> {
    let app = &cx.world.apps.x;
    if cx.call.header("authorization") != Some(crypto::basic(&app.client_id, &app.client_secret).as_str()) {
        return Err(unauthorized_client());
    }
    if required(cx.call, "client_id")? != app.client_id {
        return Err(oauth_error(
            400,
            "invalid_client",
            "Value passed for the client id was invalid.",
        ));
    }
    Ok(())
}

fn token(cx: &mut Cx<'_>) -> Result<Reply, Reply> {
    client(cx)?;
    match required(cx.call, "grant_type")? {
        "authorization_code" => exchange(cx),
        "refresh_token" => refresh(cx),
        _ => Err(oauth_error(
            400,
            "unsupported_grant_type",
            "Value passed for the grant type was invalid.",
        )),
    }
}

fn exchange(cx: &mut Cx<'_>) -> Result<Reply, Reply> {
    let value = required(cx.call, "code")?;
    let redirect_uri = required(cx.call, "redirect_uri")?;
    let verifier = required(cx.call, "code_verifier")?;
    let code = cx.world.code(Platform::X, value, CODE_SECONDS).map_err(|problem| {
        oauth_error(
            400,
            "invalid_request",
            "Value passed for the authorization code was invalid.",
        )
        .because(problem.outcome())
    })?;
    if code.redirect_uri != redirect_uri {
        return Err(oauth_error(
            400,
            "invalid_request",
            "Value passed for the redirect uri did not match the uri of the authorization code.",
        ));
    }
    let proves = |(method, challenge): &(String, String)| match method.as_str() {
        "S256" => crypto::challenge_base64url(verifier) == *challenge,
        _ => verifier == challenge,
    };
    if !code.challenge.as_ref().is_some_and(proves) {
        return Err(oauth_error(
            400,
            "invalid_request",
            "Value passed for the code verifier did not match the code challenge.",
        ));
    }
    cx.world.use_code(value);
    let offline = cx
        .world
        .grant(code.grant)
        .is_some_and(|grant| grant.has("offline.access"));
    let access = MINT.access(cx, code.grant, None);
    let refresh = offline.then(|| MINT.refresh(cx, code.grant, None));
    Ok(token_reply(
        cx,
        &Pair {
            access,
            refresh,
            kept: None,
        },
    ))
}

fn refresh(cx: &mut Cx<'_>) -> Result<Reply, Reply> {
    let value = required(cx.call, "refresh_token")?;
    let dead = |why: &str| oauth_error(400, "invalid_request", WRONG_TOKEN).because(format!("refresh token {why}"));
    let token = cx
        .world
        .token(value)
        .filter(|token| token.platform == Platform::X && token.kind == Kind::Refresh);
    let token = token.cloned().ok_or_else(|| dead("unknown"))?;
    let pair = rotate(cx, &token, MINT).map_err(|death| dead(&format!("{death:?}").to_lowercase()))?;
    Ok(token_reply(cx, &pair))
}

fn token_reply(cx: &Cx<'_>, pair: &Pair) -> Reply {
    let scopes = cx
        .world
        .grant(pair.access.grant)
        .map(|grant| grant.scopes.iter().cloned().collect::<Vec<_>>());
    let mut body = json!({
        "token_type": "bearer",
        "expires_in": pair.access.seconds_left(cx.world.now_ms()),
        "access_token": pair.access.value,
        "scope": scopes.unwrap_or_default().join(" "),
    });
    match (&pair.refresh, pair.kept) {
        (Some(_), Some(Kept::Missing)) | (None, _) => {}
        (Some(_), Some(Kept::Empty)) => body["refresh_token"] = json!(""),
        (Some(refresh), _) => body["refresh_token"] = json!(refresh.value),
    }
    Reply::json(200, &body)
}

/// Ends the one token that is named; an unknown one is as good as revoked.
fn revoke(cx: &mut Cx<'_>) -> Result<Reply, Reply> {
    client(cx)?;
    let value = required(cx.call, "token")?;
    let id = cx
        .world
        .token(value)
        .filter(|token| token.platform == Platform::X)
        .map(|token| token.id);
    if let Some(id) = id {
        cx.world.end_token(id, Death::Revoked);
    }
    Ok(Reply::json(200, &json!({"revoked": true})))
}

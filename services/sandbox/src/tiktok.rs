//! TikTok: Login Kit, display API and content posting. `client_key` instead of `client_id`, commas between scopes, a
//! hexadecimal PKCE challenge, errors of the token endpoint with HTTP 200, refresh tokens that rotate. One grant per
//! consent.

mod api;

use serde_json::json;

use crate::call::{Call, Reply};
use crate::consent::{self, Dialog, Verdict};
use crate::crypto;
use crate::platform::{Cx, Imitation, Operation, Platform};
use crate::switches::{Kept, RateLimit};
use crate::world::World;
use crate::world::profile::{Pkce, Profile, TikTokLives};
use crate::world::rotation::{Mint, Pair, rotate};
use crate::world::tokens::{CodeProblem, Death, Kind, random};

const CODE_SECONDS: i64 = 60;
const SCOPES: [&str; 6] = [
    "user.info.basic",
    "user.info.profile",
    "user.info.stats",
    "video.list",
    "video.publish",
    "video.upload",
];

/// The imitation.
pub(crate) struct TikTok;

impl Imitation for TikTok {
    fn recognise(&self, call: &Call) -> Option<Operation> {
        match (call.method.as_str(), call.segments().as_slice()) {
            ("GET", ["v2", "auth", "authorize"]) => Some(Operation::Dialog),
            ("POST", ["v2", "auth", "authorize"]) => Some(Operation::Consent),
            (_, ["v2", "oauth", "token"]) => match call.form.first("grant_type") {
                Some("refresh_token") => Some(Operation::Refresh),
                _ => Some(Operation::Exchange),
            },
            (_, ["v2", "oauth", "revoke"]) => Some(Operation::Revoke),
            (_, ["v2", "user", "info"]) => Some(Operation::Identity),
            (_, ["v2", "video", "list"]) => Some(Operation::Posts),
            (_, ["v2", "post", "publish", ..]) => Some(Operation::Publish),
            _ => None,
        }
    }

    fn answer(&self, cx: &mut Cx<'_>) -> Reply {
        let call = cx.call;
        let result = match (call.method.as_str(), call.segments().as_slice()) {
            ("POST", ["v2", "oauth", "token"]) => token(cx),
            ("POST", ["v2", "oauth", "revoke"]) => revoke(cx),
            ("GET", ["v2", "user", "info"]) => api::user_info(cx),
            ("POST", ["v2", "video", "list"]) => api::video_list(cx),
            ("POST", ["v2", "post", "publish", rest @ ..]) => api::publish(cx, rest),
            _ => Err(api_error(404, "invalid_params", "Unsupported path or method")),
        };
        result.unwrap_or_else(|refusal| refusal)
    }

    fn dialog(&self, world: &World, call: &Call) -> Result<Dialog, Reply> {
        let refuse = |detail: &str| {
            let title = "We couldn't log in with TikTok";
            Err(consent::refusal_page(
                Platform::TikTok,
                title,
                detail,
                &format!("authorize: {detail}"),
            ))
        };
        let query = &call.query;
        if query.first("client_key") != Some(world.apps.tiktok.client_id.as_str()) {
            return refuse("client_key: this may be due to specific app settings.");
        }
        if query.first("response_type") != Some("code") {
            return refuse("response_type");
        }
        let Some(redirect_uri) = query.first("redirect_uri").filter(|uri| redirect_is_static(uri)) else {
            return refuse("redirect_uri");
        };
        let scopes = consent::split_scopes(query.first("scope"), &[',']);
        if scopes.is_empty() || scopes.iter().any(|scope| !SCOPES.contains(&scope.as_str())) {
            return refuse("scope: scopes are separated by commas");
        }
        let challenge = match (query.first("code_challenge"), query.first("code_challenge_method")) {
            (None, None) if world.profile.tiktok_pkce == Pkce::Optional => None,
            (Some(challenge), Some("S256")) if is_hex_sha256(challenge) => {
                Some(("S256".to_owned(), challenge.to_owned()))
            }
            _ => return refuse("code_challenge"),
        };
        let dialog = Dialog::new(Platform::TikTok, redirect_uri, query.first("state"), scopes);
        // The code has characters that a client must take out of the URL's encoding before it sends it.
        Ok(Dialog {
            challenge,
            fixed: &["user.info.basic"],
            code_form: ("SBXTT", "*1!5"),
            ..dialog
        })
    }

    fn callback(&self, dialog: &Dialog, verdict: &Verdict) -> String {
        let scopes;
        let mut parameters = match verdict {
            Verdict::Allowed { code, scopes: allowed } => {
                scopes = allowed.join(",");
                vec![("code", code.as_str()), ("scopes", scopes.as_str())]
            }
            Verdict::Cancelled => vec![
                ("error", "access_denied"),
                ("error_description", "User denied the authorization"),
            ],
        };
        parameters.extend(dialog.state.as_deref().map(|state| ("state", state)));
        consent::callback_url(&dialog.redirect_uri, &parameters, None)
    }

    fn rate_limited(&self, limit: &RateLimit, now_ms: i64) -> Reply {
        let reply = api_error(
            429,
            "rate_limit_exceeded",
            "The API rate limit was exceeded. Please try again later.",
        );
        match limit.retry_after.header(now_ms) {
            Some(value) => reply.with("retry-after", &value),
            None => reply,
        }
    }

    fn server_error(&self, status: u16) -> Reply {
        api_error(status, "internal_error", "Something is wrong. Please try again later.")
    }

    fn wrong_secret(&self) -> Reply {
        flat_error(200, "invalid_client", "Client key or secret is incorrect.")
    }

    fn version_retired(&self) -> Reply {
        api_error(410, "invalid_params", "This version of the API was retired.")
    }
}

/// As everywhere, and no query.
fn redirect_is_static(uri: &str) -> bool {
    uri.len() < 512 && !uri.contains('?') && consent::redirect_is_acceptable(uri)
}

/// A base64url challenge, right anywhere else, is refused here.
fn is_hex_sha256(challenge: &str) -> bool {
    challenge.len() == 64 && challenge.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn log_id() -> String {
    format!("20261122{}SBX", random(8).to_uppercase())
}

/// The token endpoint's form.
fn flat_error(status: u16, error: &str, description: &str) -> Reply {
    let body = json!({"error": error, "error_description": description, "log_id": log_id()});
    Reply::json(status, &body).because(format!("{error}: {description}"))
}

fn api_error(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({"data": {}, "error": {"code": code, "message": message, "log_id": log_id()}});
    Reply::json(status, &body).because(format!("{code}: {message}"))
}

fn mint(profile: &Profile) -> Mint {
    let (access_seconds, refresh_seconds) = match profile.tiktok_lives {
        TikTokLives::Classic => (86_400, 365 * 86_400),
        TikTokLives::November2026 => (7200, 180 * 86_400),
    };
    Mint {
        access_prefix: "SBXTTact",
        refresh_prefix: "SBXTTrft",
        length: 64,
        access_seconds,
        refresh_seconds,
    }
}

fn refused(cx: &Cx<'_>, error: &str, description: &str) -> Reply {
    flat_error(cx.world.profile.tiktok_token_error_status, error, description)
}

fn required<'a>(cx: &Cx<'a>, name: &str) -> Result<&'a str, Reply> {
    let missing =
        || refused(cx, "invalid_request", "The request parameters are malformed.").because(format!("{name} missing"));
    cx.call.form.first(name).ok_or_else(missing)
}

fn client(cx: &Cx<'_>) -> Result<(), Reply> {
    let app = &cx.world.apps.tiktok;
    if required(cx, "client_key")? != app.client_id || required(cx, "client_secret")? != app.client_secret {
        return Err(refused(cx, "invalid_client", "Client key or secret is incorrect."));
    }
    Ok(())
}

fn token(cx: &mut Cx<'_>) -> Result<Reply, Reply> {
    client(cx)?;
    match required(cx, "grant_type")? {
        "authorization_code" => exchange(cx),
        "refresh_token" => refresh(cx),
        "client_credentials" => {
            let body =
                json!({"access_token": format!("SBXTTclt{}", random(40)), "expires_in": 7200, "token_type": "Bearer"});
            Ok(Reply::json(200, &body))
        }
        _ => Err(refused(cx, "unsupported_grant_type", "Grant type is not supported.")),
    }
}

fn exchange(cx: &mut Cx<'_>) -> Result<Reply, Reply> {
    let (value, redirect_uri) = (required(cx, "code")?, required(cx, "redirect_uri")?);
    let code = cx
        .world
        .code(Platform::TikTok, value, CODE_SECONDS)
        .map_err(|problem| {
            let description = match problem {
                CodeProblem::Unknown => "Authorization code is invalid.",
                CodeProblem::Used | CodeProblem::Late => "Authorization code is expired.",
            };
            refused(cx, "invalid_grant", description).because(problem.outcome())
        })?;
    if code.redirect_uri != redirect_uri {
        return Err(refused(
            cx,
            "invalid_request",
            "Redirect_uri is not matched with the uri when requesting code.",
        ));
    }
    let verifier = cx.call.form.first("code_verifier");
    let proven = code
        .challenge
        .as_ref()
        .is_none_or(|(_, challenge)| verifier.is_some_and(|verifier| crypto::challenge_hex(verifier) == *challenge));
    if !proven {
        return Err(refused(
            cx,
            "invalid_request",
            "Code verifier or code challenge is invalid.",
        ));
    }
    cx.world.use_code(value);
    let mint = mint(&cx.world.profile);
    let access = mint.access(cx, code.grant, None);
    let refresh = Some(mint.refresh(cx, code.grant, None));
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
    let value = required(cx, "refresh_token")?;
    let dead = |cx: &Cx<'_>, why: &str| {
        refused(cx, "invalid_grant", "Refresh token is invalid or expired.").because(format!("refresh token {why}"))
    };
    let token = cx
        .world
        .token(value)
        .filter(|token| token.platform == Platform::TikTok && token.kind == Kind::Refresh);
    let token = token.cloned().ok_or_else(|| dead(cx, "unknown"))?;
    let mint = mint(&cx.world.profile);
    let pair = rotate(cx, &token, mint).map_err(|death| dead(cx, &format!("{death:?}").to_lowercase()))?;
    Ok(token_reply(cx, &pair))
}

fn token_reply(cx: &Cx<'_>, pair: &Pair) -> Reply {
    let now = cx.world.now_ms();
    let scopes = cx
        .world
        .grant(pair.access.grant)
        .map(|grant| grant.scopes.iter().cloned().collect::<Vec<_>>());
    let person = cx.world.person(&pair.access.person);
    let mut body = json!({
        "access_token": pair.access.value,
        "expires_in": pair.access.seconds_left(now),
        "open_id": person.and_then(|person| person.tiktok_open_id.clone()),
        "scope": scopes.unwrap_or_default().join(","),
        "token_type": "Bearer",
    });
    if let Some(refresh) = &pair.refresh {
        body["refresh_expires_in"] = json!(refresh.seconds_left(now));
        match pair.kept {
            Some(Kept::Missing) => {}
            Some(Kept::Empty) => body["refresh_token"] = json!(""),
            _ => body["refresh_token"] = json!(refresh.value),
        }
    }
    Reply::json(200, &body)
}

/// Ends the grant that the access token belongs to; other grants of the same person go on.
fn revoke(cx: &mut Cx<'_>) -> Result<Reply, Reply> {
    client(cx)?;
    let value = required(cx, "token")?;
    let token = cx
        .world
        .token(value)
        .filter(|token| token.platform == Platform::TikTok && token.kind == Kind::Access);
    let token = token.cloned();
    let token = token.filter(|token| cx.world.check(token).is_ok());
    let grant = token
        .ok_or_else(|| refused(cx, "invalid_request", "Access token is invalid."))?
        .grant;
    cx.world.end_grant(grant, Death::Revoked);
    Ok(Reply::json(200, &json!({})))
}

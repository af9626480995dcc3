//! Facebook: the consent dialog, short and long tokens. Permissions and `debug_token` are in `facebook/inspect.rs`, Pages
//! and posts in `facebook/pages.rs`; Instagram through Facebook uses the same tokens and ends in `instagram/media.rs`.
//! One grant per person and app: a new consent changes it, giving it back ends every token made from it.

mod inspect;
mod pages;

use serde_json::json;

use crate::call::{Call, Reply};
use crate::consent::{self, Dialog, Verdict};
use crate::crypto;
use crate::graph::{self, GraphError};
use crate::platform::{Cx, Imitation, Operation, Platform};
use crate::switches::{Effect, RateLimit};
use crate::world::World;
use crate::world::people::Person;
use crate::world::tokens::{CodeProblem, Grant, Kind, NewToken, Token};

const CODE_SECONDS: i64 = 600;
const SHORT_SECONDS: i64 = 5183;
const LONG_SECONDS: i64 = 5_183_944;
const PREFIX: &str = "SBXEAA";
const LENGTH: usize = 160;
const SCOPES: [&str; 19] = [
    "public_profile",
    "email",
    "pages_show_list",
    "pages_read_engagement",
    "pages_read_user_content",
    "pages_manage_posts",
    "pages_manage_engagement",
    "pages_manage_metadata",
    "pages_messaging",
    "read_insights",
    "business_management",
    "ads_management",
    "ads_read",
    "instagram_basic",
    "instagram_content_publish",
    "instagram_manage_comments",
    "instagram_manage_insights",
    "instagram_manage_messages",
    "whatsapp_business_management",
];
/// Permissions of a business login configuration (`config_id`).
const CONFIGURED: &str = "pages_show_list,pages_read_engagement,pages_manage_posts,business_management";

/// The imitation.
pub(crate) struct Facebook;

/// Whether a token is one of 60 days, so that exchanging it is a renewal.
pub(crate) fn is_long(world: &World, token: &str) -> bool {
    world.token(token).is_some_and(|token| token.kind == Kind::Long)
}

impl Imitation for Facebook {
    fn recognise(&self, call: &Call) -> Option<Operation> {
        let segments = call.segments();
        let versioned = segments.first().is_some_and(|first| graph::version(first).is_some());
        let path = segments.get(usize::from(versioned)..).unwrap_or_default();
        if access_token(call).is_some_and(|token| token.starts_with("SBXIG")) {
            return None;
        }
        match path {
            ["dialog", "oauth"] => Some(if call.is_get() {
                Operation::Dialog
            } else {
                Operation::Consent
            }),
            ["oauth", "access_token"] => (versioned || call.is_get()).then_some(Operation::Exchange),
            ["debug_token"] => Some(Operation::Inspect),
            [first, ..] if versioned || *first == "me" || is_object(first) => Some(operation(call, path)),
            _ => None,
        }
    }

    fn answer(&self, cx: &mut Cx<'_>) -> Reply {
        let reply = graph::unversioned(cx.call)
            .and_then(|path| route(cx, &path))
            .unwrap_or_else(Reply::from);
        graph::with_usage(cx, with_business_usage(cx, reply))
    }

    fn dialog(&self, world: &World, call: &Call) -> Result<Dialog, Reply> {
        let refuse = |title: &str, detail: &str| {
            Err(consent::refusal_page(
                Platform::Facebook,
                title,
                detail,
                &format!("dialog: {title}: {detail}"),
            ))
        };
        let query = &call.query;
        if graph::unversioned(call).is_err() {
            return refuse("Sorry, something went wrong", "Unknown version.");
        }
        if query.first("client_id") != Some(world.apps.facebook.client_id.as_str()) {
            return refuse(
                "Invalid App ID",
                "The provided app ID does not look like a valid app ID.",
            );
        }
        let Some(redirect_uri) = query
            .first("redirect_uri")
            .filter(|uri| consent::redirect_is_acceptable(uri))
        else {
            return refuse(
                "URL Blocked",
                "This redirect failed because the redirect URI is not whitelisted in the app.",
            );
        };
        if query.first("response_type").is_some_and(|kind| kind != "code") {
            return refuse("Invalid response_type", "Only response_type=code is imitated.");
        }
        let configured = query.first("scope").is_none() && query.first("config_id").is_some();
        let asked = if configured {
            Some(CONFIGURED)
        } else {
            query.first("scope")
        };
        let mut scopes = consent::split_scopes(asked, &[',', ' ']);
        if let Some(unknown) = scopes.iter().find(|scope| !SCOPES.contains(&scope.as_str())) {
            return refuse("Invalid Scopes", &format!("Invalid Scopes: {unknown}."));
        }
        if !scopes.iter().any(|scope| scope == "public_profile") {
            scopes.push("public_profile".to_owned());
        }
        let rerequest = query.first("auth_type").is_some_and(|kind| kind.contains("rerequest"));
        let dialog = Dialog::new(Platform::Facebook, redirect_uri, query.first("state"), scopes);
        let all_or_nothing = configured;
        Ok(Dialog {
            rerequest,
            all_or_nothing,
            fixed: &["public_profile"],
            code_form: ("SBX_CODE_", ""),
            ..dialog
        })
    }

    fn callback(&self, dialog: &Dialog, verdict: &Verdict) -> String {
        let mut parameters = match verdict {
            Verdict::Allowed { code, .. } => vec![("code", code.as_str())],
            Verdict::Cancelled => vec![
                ("error", "access_denied"),
                ("error_code", "200"),
                ("error_description", "Permissions error"),
                ("error_reason", "user_denied"),
            ],
        };
        parameters.extend(dialog.state.as_deref().map(|state| ("state", state)));
        consent::callback_url(&dialog.redirect_uri, &parameters, Some("_=_"))
    }

    fn rate_limited(&self, limit: &RateLimit, now_ms: i64) -> Reply {
        graph::rate_limited(limit, now_ms)
    }

    fn server_error(&self, status: u16) -> Reply {
        graph::server_error(status)
    }

    fn wrong_secret(&self) -> Reply {
        wrong_secret().into()
    }

    fn version_retired(&self) -> Reply {
        GraphError::new(2635, "(#2635) You are calling a deprecated version of the API.").into()
    }
}

/// Calls with a Page token count against the Page's own limit.
fn with_business_usage(cx: &Cx<'_>, reply: Reply) -> Reply {
    let token = access_token(cx.call).and_then(|value| cx.world.token(&value).cloned());
    let Some(page) = token.and_then(|token| token.destination) else {
        return reply;
    };
    let usage = json!({"type": "pages", "call_count": 1, "total_cputime": 1, "total_time": 1, "estimated_time_to_regain_access": 0});
    reply.with("x-business-use-case-usage", &json!({page: [usage]}).to_string())
}

fn is_object(segment: &str) -> bool {
    segment.len() >= 10 && segment.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

fn operation(call: &Call, path: &[&str]) -> Operation {
    match path {
        [_, "permissions", ..] if call.is_get() => Operation::Inspect,
        [_, "permissions", ..] => Operation::Revoke,
        [_, "accounts" | "businesses" | "owned_pages" | "client_pages"] => Operation::Discover,
        [_, "published_posts" | "feed" | "posts" | "media"] if call.is_get() => Operation::Posts,
        [_] if call.is_get() => Operation::Identity,
        _ => Operation::Publish,
    }
}

fn route(cx: &mut Cx<'_>, path: &[&str]) -> Result<Reply, GraphError> {
    match (cx.call.method.as_str(), path) {
        ("GET" | "POST", ["oauth", "access_token"]) => token(cx),
        ("GET", ["debug_token"]) => inspect::debug_token(cx),
        ("GET", [_, "permissions"]) => inspect::permissions(cx),
        ("DELETE", [user, "permissions"]) => inspect::give_back(cx, user, None),
        ("DELETE", [user, "permissions", permission]) => inspect::give_back(cx, user, Some(permission)),
        _ => pages::route(cx, path),
    }
}

/// The access token of a Graph call: parameter or header.
pub(crate) fn access_token(call: &Call) -> Option<String> {
    call.graph_param("access_token")
        .or_else(|| call.bearer().map(str::to_owned))
}

/// Who a call is made for.
struct Caller {
    token: Token,
    grant: Grant,
    person: Person,
}

/// Checks the token and, if it came or is demanded, `appsecret_proof`.
fn caller(cx: &Cx<'_>) -> Result<Caller, GraphError> {
    let value = access_token(cx.call).ok_or_else(|| {
        GraphError::new(
            2500,
            "An active access token must be used to query information about the current user.",
        )
    })?;
    let unknown = || GraphError::new(190, "Invalid OAuth access token - Cannot parse access token");
    let token = cx
        .world
        .token(&value)
        .filter(|token| token.platform == Platform::Facebook)
        .ok_or_else(unknown)?;
    let app = &cx.world.apps.facebook;
    match cx.call.graph_param("appsecret_proof") {
        Some(proof) if proof != crypto::appsecret_proof(&app.client_secret, &value) => {
            return Err(GraphError::new(
                100,
                "Invalid appsecret_proof provided in the API argument",
            ));
        }
        None if cx.world.profile.facebook_proof_required => {
            return Err(GraphError::new(
                100,
                "API calls from the server require an appsecret_proof argument",
            ));
        }
        _ => {}
    }
    let now = cx.world.now_ms();
    cx.world
        .check(token)
        .map_err(|death| GraphError::dead(death, token, &app.client_id, now))?;
    let grant = cx.world.grant(token.grant).ok_or_else(unknown)?;
    let person = cx.world.person(&token.person).ok_or_else(unknown)?;
    Ok(Caller {
        token: token.clone(),
        grant: grant.clone(),
        person: person.clone(),
    })
}

fn wrong_secret() -> GraphError {
    GraphError::new(1, "Error validating client secret.")
}

fn token(cx: &mut Cx<'_>) -> Result<Reply, GraphError> {
    let app = &cx.world.apps.facebook;
    match cx.call.graph_param("client_id") {
        None => return Err(GraphError::new(101, "Missing client_id parameter.")),
        Some(id) if id != app.client_id => {
            return Err(GraphError::new(
                101,
                "Error validating application. Invalid application ID.",
            ));
        }
        Some(_) => {}
    }
    if cx.call.graph_param("client_secret").as_deref() != Some(app.client_secret.as_str()) {
        return Err(wrong_secret());
    }
    match cx.call.graph_param("grant_type").as_deref() {
        None | Some("authorization_code") => exchange_code(cx),
        Some("fb_exchange_token") => exchange_token(cx),
        Some("client_credentials") => {
            let token = format!("{}|{}", app.client_id, app.client_secret);
            Ok(Reply::json(
                200,
                &json!({"access_token": token, "token_type": "bearer"}),
            ))
        }
        Some(other) => Err(GraphError::parameter(format!("Invalid grant_type: {other}"))),
    }
}

fn token_reply(token: &Token, now_ms: i64) -> Reply {
    let body = json!({"access_token": token.value, "token_type": "bearer", "expires_in": token.seconds_left(now_ms)});
    Reply::json(200, &body)
}

fn exchange_code(cx: &mut Cx<'_>) -> Result<Reply, GraphError> {
    let value = cx
        .call
        .graph_param("code")
        .ok_or_else(|| GraphError::new(100, "Missing authorization code"))?;
    let redirect_uri = cx
        .call
        .graph_param("redirect_uri")
        .ok_or_else(|| GraphError::new(191, "Missing redirect_uri parameter."))?;
    let code = cx
        .world
        .code(Platform::Facebook, &value, CODE_SECONDS)
        .map_err(|problem| match problem {
            CodeProblem::Used => GraphError::new(100, "This authorization code has been used.").sub(36009),
            CodeProblem::Late => GraphError::new(100, "This authorization code has expired.").sub(36007),
            CodeProblem::Unknown => GraphError::new(100, "Invalid verification code format.").sub(36007),
        })?;
    if code.redirect_uri != redirect_uri {
        let message = "Error validating verification code. Please make sure your redirect_uri is identical to the one \
                       you used in the OAuth dialog request";
        return Err(GraphError::new(100, message).sub(36008));
    }
    cx.world.use_code(&value);
    let seconds = cx.effects.access_seconds(SHORT_SECONDS);
    let token = issue(cx, Kind::Short, code.grant, Some(seconds), None, None);
    Ok(token_reply(&token, cx.world.now_ms()))
}

fn issue(
    cx: &mut Cx<'_>,
    kind: Kind,
    grant: u64,
    seconds: Option<i64>,
    parent: Option<u64>,
    destination: Option<String>,
) -> Token {
    cx.world.issue(NewToken {
        kind,
        grant,
        prefix: PREFIX,
        length: LENGTH,
        seconds,
        parent,
        destination,
    })
}

/// Short becomes long; long becomes another long one. An expired token cannot be exchanged.
fn exchange_token(cx: &mut Cx<'_>) -> Result<Reply, GraphError> {
    let value = cx.call.graph_param("fb_exchange_token");
    let value = value.ok_or_else(|| GraphError::parameter("fb_exchange_token parameter not specified"))?;
    let known = cx
        .world
        .token(&value)
        .filter(|token| token.platform == Platform::Facebook && token.kind != Kind::Page);
    let token = known
        .cloned()
        .ok_or_else(|| GraphError::new(190, "Malformed access token"))?;
    let now = cx.world.now_ms();
    let app_id = cx.world.apps.facebook.client_id.clone();
    cx.world
        .check(&token)
        .map_err(|death| GraphError::dead(death, &token, &app_id, now))?;
    if let Some(remove) = cx.effects.find(|effect| match effect {
        Effect::ShrinkScopes { remove } => Some(remove),
        _ => None,
    }) {
        cx.world.shrink_scopes(token.grant, remove);
    }
    if token.kind == Kind::Long && cx.effects.any(|effect| matches!(effect, Effect::NotExtended)) {
        return Ok(token_reply(&token, now).because("not extended"));
    }
    let seconds = cx.effects.access_seconds(LONG_SECONDS);
    let long = issue(cx, Kind::Long, token.grant, Some(seconds), Some(token.id), None);
    Ok(token_reply(&long, now))
}

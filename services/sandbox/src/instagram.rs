//! Instagram Login: three hosts, a token of an hour, one of 60 days that renews itself once it is a day old, no way to
//! inspect or revoke. Replies come flat or in a `data` list, as the profile says. Media and publishing are in
//! `instagram/media.rs`.

pub(crate) mod media;

use serde_json::{Value, json};

use crate::call::{Call, Reply};
use crate::consent::{self, Dialog, Verdict};
use crate::facebook::access_token;
use crate::graph::{self, GraphError, fields, select};
use crate::platform::{Cx, Imitation, Operation, Platform};
use crate::switches::{Effect, RateLimit};
use crate::world::World;
use crate::world::clock::DAY_MS;
use crate::world::people::InstagramAccount;
use crate::world::profile::{Renewal, Shape};
use crate::world::tokens::{CodeProblem, Death, Grant, Kind, NewToken, Token};

const CODE_SECONDS: i64 = 3600;
const SHORT_SECONDS: i64 = 3600;
const LONG_SECONDS: i64 = 5_183_944;
const REFRESHED_SECONDS: i64 = 5_184_000;
const MIN_AGE_MS: i64 = DAY_MS;
const LENGTH: usize = 150;
const BASIC: &str = "instagram_business_basic";
const SCOPES: [&str; 5] = [
    BASIC,
    "instagram_business_content_publish",
    "instagram_business_manage_comments",
    "instagram_business_manage_messages",
    "instagram_business_manage_insights",
];
const ME_FIELDS: [&str; 10] = [
    "id",
    "user_id",
    "username",
    "name",
    "account_type",
    "profile_picture_url",
    "followers_count",
    "follows_count",
    "media_count",
    "biography",
];

/// The imitation.
pub(crate) struct Instagram;

impl Imitation for Instagram {
    /// Graph paths are shared with Facebook, which leaves calls with an `SBXIG` token to us.
    fn recognise(&self, call: &Call) -> Option<Operation> {
        let segments = call.segments();
        let versioned = segments.first().is_some_and(|first| graph::version(first).is_some());
        let path = segments.get(usize::from(versioned)..).unwrap_or_default();
        match (call.method.as_str(), path) {
            ("GET", ["oauth", "authorize"]) => Some(Operation::Dialog),
            ("POST", ["oauth", "authorize"]) => Some(Operation::Consent),
            ("POST", ["oauth", "access_token"]) | (_, ["access_token"]) => Some(Operation::Exchange),
            (_, ["refresh_access_token"]) => Some(Operation::Refresh),
            (_, [first, ..]) if versioned || *first == "me" || first.starts_with("1784") => Some(match path {
                [_, "media"] if call.is_get() => Operation::Posts,
                [_] if call.is_get() => Operation::Identity,
                _ => Operation::Publish,
            }),
            _ => None,
        }
    }

    fn answer(&self, cx: &mut Cx<'_>) -> Reply {
        let call = cx.call;
        match (call.method.as_str(), call.segments().as_slice()) {
            ("POST", ["oauth", "access_token"]) => exchange_code(cx).unwrap_or_else(|refusal| refusal),
            ("GET", ["access_token"]) => exchange_token(cx).unwrap_or_else(Reply::from),
            ("GET", ["refresh_access_token"]) => refresh(cx).unwrap_or_else(Reply::from),
            (_, ["access_token" | "refresh_access_token"]) => {
                let method = call.method.as_str().to_lowercase();
                GraphError::new(100, format!("Unsupported request - method type: {method}")).into()
            }
            _ => {
                let reply = graph::unversioned(call)
                    .and_then(|path| api(cx, &path))
                    .unwrap_or_else(Reply::from);
                graph::with_usage(cx, reply)
            }
        }
    }

    fn dialog(&self, world: &World, call: &Call) -> Result<Dialog, Reply> {
        let refuse = |title: &str, detail: &str| {
            Err(consent::refusal_page(
                Platform::Instagram,
                title,
                detail,
                &format!("authorize: {title}: {detail}"),
            ))
        };
        let query = &call.query;
        if query.first("client_id") != Some(world.apps.instagram.client_id.as_str()) {
            return refuse(
                "Invalid platform app",
                "Invalid Request: Request parameters are invalid: Invalid platform app",
            );
        }
        let Some(redirect_uri) = query
            .first("redirect_uri")
            .filter(|uri| consent::redirect_is_acceptable(uri))
        else {
            return refuse(
                "Invalid redirect_uri",
                "Invalid Request: Request parameters are invalid: Invalid redirect_uri",
            );
        };
        if query.first("response_type") != Some("code") {
            return refuse("Invalid response_type", "Invalid Request: response_type must be code");
        }
        let scopes = consent::split_scopes(query.first("scope"), &[',', ' ']);
        let unknown: Vec<&str> = scopes
            .iter()
            .map(String::as_str)
            .filter(|scope| !SCOPES.contains(scope))
            .collect();
        if scopes.is_empty() || !unknown.is_empty() {
            return refuse(
                "Invalid scope",
                &format!("Invalid scope field(s): {}", unknown.join(",")),
            );
        }
        let dialog = Dialog::new(Platform::Instagram, redirect_uri, query.first("state"), scopes);
        Ok(Dialog {
            fixed: &[BASIC],
            code_form: ("SBX_IG_CODE_", ""),
            ..dialog
        })
    }

    fn callback(&self, dialog: &Dialog, verdict: &Verdict) -> String {
        let mut parameters = match verdict {
            Verdict::Allowed { code, .. } => vec![("code", code.as_str())],
            Verdict::Cancelled => vec![
                ("error", "access_denied"),
                ("error_reason", "user_denied"),
                ("error_description", "The user denied your request"),
            ],
        };
        parameters.extend(dialog.state.as_deref().map(|state| ("state", state)));
        let fragment = matches!(verdict, Verdict::Allowed { .. }).then_some("_");
        consent::callback_url(&dialog.redirect_uri, &parameters, fragment)
    }

    fn rate_limited(&self, limit: &RateLimit, now_ms: i64) -> Reply {
        graph::rate_limited(limit, now_ms)
    }

    fn server_error(&self, status: u16) -> Reply {
        graph::server_error(status)
    }

    fn wrong_secret(&self) -> Reply {
        GraphError::new(1, "Error validating client secret.").into()
    }

    fn version_retired(&self) -> Reply {
        GraphError::new(2635, "(#2635) You are calling a deprecated version of the API.").into()
    }
}

/// The code endpoint has its own error form.
fn refusal(message: &str) -> Reply {
    let body = json!({"error_type": "OAuthException", "code": 400, "error_message": message});
    Reply::json(400, &body).because(message)
}

fn issue(cx: &mut Cx<'_>, kind: Kind, grant: u64, seconds: i64, parent: Option<u64>) -> Token {
    let seconds = Some(cx.effects.access_seconds(seconds));
    cx.world.issue(NewToken {
        kind,
        grant,
        prefix: "SBXIG",
        length: LENGTH,
        seconds,
        parent,
        destination: None,
    })
}

fn exchange_code(cx: &mut Cx<'_>) -> Result<Reply, Reply> {
    let field = |name: &str| {
        cx.call
            .form
            .first(name)
            .ok_or_else(|| refusal(&format!("Missing required field {name}")))
    };
    let app = &cx.world.apps.instagram;
    if field("client_id")? != app.client_id {
        return Err(refusal("Invalid platform app"));
    }
    if field("client_secret")? != app.client_secret {
        return Err(refusal("Error validating client secret."));
    }
    if field("grant_type")? != "authorization_code" {
        return Err(refusal("Invalid grant_type"));
    }
    let (value, redirect_uri) = (field("code")?, field("redirect_uri")?);
    let code = cx
        .world
        .code(Platform::Instagram, value, CODE_SECONDS)
        .map_err(|problem| match problem {
            CodeProblem::Used => refusal("This authorization code has been used"),
            CodeProblem::Late => refusal("This authorization code has expired"),
            CodeProblem::Unknown => refusal("Matching code was not found or was already used"),
        })?;
    if code.redirect_uri != redirect_uri {
        return Err(refusal(
            "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request",
        ));
    }
    cx.world.use_code(value);
    let token = issue(cx, Kind::Short, code.grant, SHORT_SECONDS, None);
    let scopes: Vec<String> = cx
        .world
        .grant(code.grant)
        .map(|grant| grant.scopes.iter().cloned().collect())
        .unwrap_or_default();
    let account = own_account(cx, &token).map_err(Reply::from)?;
    let body = match cx.world.profile.instagram_shape {
        // A number above 2^53, as the real one.
        Shape::Flat => json!({
            "access_token": token.value, "user_id": account.scoped_id.parse::<u64>().unwrap_or_default(),
            "permissions": scopes,
        }),
        Shape::Data => json!({"data": [{
            "access_token": token.value, "user_id": account.scoped_id, "permissions": scopes.join(","),
        }]}),
    };
    Ok(Reply::json(200, &body))
}

/// A working token of this platform.
fn check(cx: &Cx<'_>, value: Option<String>) -> Result<(Token, Grant), GraphError> {
    let value = value.ok_or_else(|| {
        GraphError::new(
            2500,
            "An active access token must be used to query information about the current user.",
        )
    })?;
    let unknown = || GraphError::new(190, "Invalid OAuth access token - Cannot parse access token");
    let token = cx
        .world
        .token(&value)
        .filter(|token| token.platform == Platform::Instagram)
        .ok_or_else(unknown)?;
    let app_id = &cx.world.apps.instagram.client_id;
    cx.world.check(token).map_err(|death| {
        let mut error = GraphError::dead(death, token, app_id, cx.world.now_ms());
        // Seen in the wild: an expired Instagram token comes with subcode 0.
        if death == Death::Expired {
            error.subcode = Some(0);
        }
        error
    })?;
    let grant = cx.world.grant(token.grant).ok_or_else(unknown)?;
    Ok((token.clone(), grant.clone()))
}

fn own_account(cx: &Cx<'_>, token: &Token) -> Result<InstagramAccount, GraphError> {
    let person = cx.world.person(&token.person);
    let id = person.and_then(|person| person.instagram_id.as_deref());
    let account = id.and_then(|id| cx.world.instagram_account(id)).cloned();
    account.ok_or_else(|| GraphError::unknown_object("me"))
}

fn long_reply(token: &Token, now_ms: i64) -> Reply {
    let body = json!({"access_token": token.value, "token_type": "bearer", "expires_in": token.seconds_left(now_ms)});
    Reply::json(200, &body)
}

fn exchange_token(cx: &mut Cx<'_>) -> Result<Reply, GraphError> {
    let query = &cx.call.query;
    if query.first("grant_type") != Some("ig_exchange_token") {
        return Err(GraphError::parameter("Invalid grant_type"));
    }
    if query.first("client_secret") != Some(cx.world.apps.instagram.client_secret.as_str()) {
        return Err(GraphError::new(1, "Error validating client secret."));
    }
    let (token, _) = check(cx, query.first("access_token").map(str::to_owned))?;
    if token.kind != Kind::Short {
        return Err(GraphError::new(
            452,
            "Session key invalid. This could be because the session key has an incorrect format, or because the user has revoked this session",
        ));
    }
    let long = issue(cx, Kind::Long, token.grant, LONG_SECONDS, Some(token.id));
    Ok(long_reply(&long, cx.world.now_ms()))
}

/// At least a day old, not expired, `instagram_business_basic` granted.
fn refresh(cx: &mut Cx<'_>) -> Result<Reply, GraphError> {
    let query = &cx.call.query;
    if query.first("grant_type") != Some("ig_refresh_token") {
        return Err(GraphError::parameter("Invalid grant_type"));
    }
    let (token, grant) = check(cx, query.first("access_token").map(str::to_owned))?;
    let old_method = !grant.has(BASIC);
    if old_method || token.kind != Kind::Long {
        return Err(GraphError::new(100, "Unsupported request - method type: get"));
    }
    let now = cx.world.now_ms();
    if now - token.issued_at_ms < MIN_AGE_MS {
        let code = cx.world.profile.instagram_young_refresh_code;
        return Err(GraphError::new(
            code,
            "The access token must be at least 24 hours old to be refreshed.",
        ));
    }
    if let Some(remove) = cx.effects.find(|effect| match effect {
        Effect::ShrinkScopes { remove } => Some(remove),
        _ => None,
    }) {
        cx.world.shrink_scopes(token.grant, remove);
    }
    if cx.effects.any(|effect| matches!(effect, Effect::NotExtended)) {
        return Ok(long_reply(&token, now).because("not extended"));
    }
    if cx.world.profile.instagram_refresh == Renewal::Same {
        cx.world
            .extend_token(token.id, cx.effects.access_seconds(REFRESHED_SECONDS));
        let token = cx.world.token(&token.value).cloned().unwrap_or(token);
        return Ok(long_reply(&token, now));
    }
    let renewed = issue(cx, Kind::Long, token.grant, REFRESHED_SECONDS, Some(token.id));
    Ok(long_reply(&renewed, now))
}

/// `me`, the account's own id, and containers; nobody else's.
fn api(cx: &mut Cx<'_>, path: &[&str]) -> Result<Reply, GraphError> {
    let (token, grant) = check(cx, access_token(cx.call))?;
    let account = own_account(cx, &token)?;
    let id = path.first().copied().unwrap_or_default();
    let own_container = cx
        .world
        .containers
        .get(id)
        .is_some_and(|container| container.author == account.id);
    if !own_container && id != "me" && id != account.id && id != account.scoped_id {
        return Err(GraphError::unknown_object(id));
    }
    let publishing = cx.call.is_post() || path.last() == Some(&"content_publishing_limit");
    let (new, old) = if publishing {
        ("instagram_business_content_publish", None)
    } else {
        (BASIC, Some("business_basic"))
    };
    if !grant.has(new) && !old.is_some_and(|old| grant.has(old)) {
        return Err(GraphError::new(
            10,
            "(#10) Application does not have permission for this action",
        ));
    }
    if path.len() == 1 && cx.call.is_get() && !own_container {
        return me(cx, &account);
    }
    media::route(cx, &account, path.get(1..).unwrap_or_default(), id)
}

fn me(cx: &Cx<'_>, account: &InstagramAccount) -> Result<Reply, GraphError> {
    let wanted = fields(cx.call.graph_param("fields").as_deref().unwrap_or("id"))?;
    let mut node = media::account_node(cx, account);
    node["id"] = json!(account.scoped_id);
    node["user_id"] = json!(account.id);
    node["account_type"] = json!(account.account_type);
    let selected: Value = select(&node, &wanted, &ME_FIELDS, "IGUser")?;
    let body = match cx.world.profile.instagram_shape {
        Shape::Flat => selected,
        Shape::Data => json!({"data": [selected]}),
    };
    Ok(Reply::json(200, &body))
}

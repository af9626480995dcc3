//! TikTok: Login Kit, display API and content posting. `client_key` instead of `client_id`, commas between scopes, a
//! hexadecimal PKCE challenge, errors of the token endpoint with HTTP 200, refresh tokens that rotate. One grant per
//! consent.

use serde_json::{Map, Value, json};

use crate::call::{Call, Reply};
use crate::consent::{self, Dialog, Verdict};
use crate::crypto;
use crate::platform::{Cx, Imitation, Operation, Platform};
use crate::switches::{Effect, Kept, RateLimit};
use crate::world::World;
use crate::world::people::Person;
use crate::world::posts::{Container, Media, Post};
use crate::world::profile::{Profile, TikTokLives};
use crate::world::rotation::{Mint, Pair, rotate};
use crate::world::tokens::{CodeProblem, Death, Grant, Kind, random};

const CODE_SECONDS: i64 = 60;
const SCOPES: [&str; 6] = [
    "user.info.basic",
    "user.info.profile",
    "user.info.stats",
    "video.list",
    "video.publish",
    "video.upload",
];
/// Fields of user info, each behind its scope.
const USER_FIELDS: [(&str, &[&str]); 3] = [
    (
        "user.info.basic",
        &[
            "open_id",
            "union_id",
            "avatar_url",
            "avatar_url_100",
            "avatar_large_url",
            "display_name",
        ],
    ),
    (
        "user.info.profile",
        &["bio_description", "profile_deep_link", "is_verified", "username"],
    ),
    (
        "user.info.stats",
        &["follower_count", "following_count", "likes_count", "video_count"],
    ),
];
const VIDEO_FIELDS: [&str; 12] = [
    "id",
    "create_time",
    "cover_image_url",
    "share_url",
    "video_description",
    "duration",
    "title",
    "embed_link",
    "like_count",
    "comment_count",
    "share_count",
    "view_count",
];
const PRIVACY: [&str; 3] = ["PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"];
const VIDEO_LIMIT: u64 = 20;

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
            ("GET", ["v2", "user", "info"]) => user_info(cx),
            ("POST", ["v2", "video", "list"]) => video_list(cx),
            ("POST", ["v2", "post", "publish", rest @ ..]) => publish(cx, rest),
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
        let scopes: Vec<String> = query
            .first("scope")
            .unwrap_or_default()
            .split(',')
            .filter(|one| !one.is_empty())
            .map(str::to_owned)
            .collect();
        if scopes.is_empty() || scopes.iter().any(|scope| !SCOPES.contains(&scope.as_str())) {
            return refuse("scope: scopes are separated by commas");
        }
        let challenge = match (query.first("code_challenge"), query.first("code_challenge_method")) {
            (None, None) if !world.profile.tiktok_pkce_required => None,
            (Some(challenge), Some("S256")) if is_hex_sha256(challenge) => {
                Some(("S256".to_owned(), challenge.to_owned()))
            }
            _ => return refuse("code_challenge"),
        };
        Ok(Dialog {
            platform: Platform::TikTok,
            redirect_uri: redirect_uri.to_owned(),
            state: query.first("state").map(str::to_owned),
            scopes,
            challenge,
            fixed: &["user.info.basic"],
            all_or_nothing: false,
            rerequest: false,
            // Characters that a client must take out of the URL's encoding before it sends the code.
            code_form: ("SBXTT", "*1!5"),
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

fn success(data: &Value) -> Reply {
    Reply::json(
        200,
        &json!({"data": data, "error": {"code": "ok", "message": "", "log_id": log_id()}}),
    )
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

fn authorize(cx: &Cx<'_>, scope: &str) -> Result<(Person, Grant), Reply> {
    if let Some(Effect::ApiError { status, code, message }) = cx
        .effects
        .find(|effect| matches!(effect, Effect::ApiError { .. }).then_some(effect))
    {
        return Err(api_error(*status, code, message.as_deref().unwrap_or(code)));
    }
    let invalid = |why: &str| {
        let message = "The access token is invalid or not found in the request.";
        api_error(401, "access_token_invalid", message).because(format!("access token {why}"))
    };
    let token = cx.call.bearer().and_then(|value| cx.world.token(value));
    let token = token.filter(|token| token.platform == Platform::TikTok && token.kind == Kind::Access);
    let token = token.ok_or_else(|| invalid("missing or unknown"))?;
    cx.world
        .check(token)
        .map_err(|death| invalid(&format!("{death:?}").to_lowercase()))?;
    let (Some(grant), Some(person)) = (cx.world.grant(token.grant), cx.world.person(&token.person)) else {
        return Err(invalid("unknown"));
    };
    if !grant.has(scope) {
        return Err(scope_missing(scope));
    }
    Ok((person.clone(), grant.clone()))
}

fn scope_missing(scope: &str) -> Reply {
    let message = format!("The user did not authorize the scope required for completing this request: {scope}");
    api_error(401, "scope_not_authorized", &message)
}

fn asked_fields<'a>(cx: &Cx<'a>) -> Result<Vec<&'a str>, Reply> {
    let fields = cx
        .call
        .query
        .first("fields")
        .ok_or_else(|| api_error(400, "invalid_params", "Fields is required"))?;
    Ok(fields.split(',').map(str::trim).collect())
}

fn user_info(cx: &Cx<'_>) -> Result<Reply, Reply> {
    let (person, grant) = authorize(cx, "user.info.basic")?;
    let open_id = person.tiktok_open_id.clone().unwrap_or_default();
    let avatar = format!("{}/avatars/{open_id}.png", cx.call.base);
    let username = person.username.replace('.', "");
    let all = json!({
        "open_id": open_id, "union_id": open_id.replace("open-id", "union"), "avatar_url": avatar,
        "avatar_url_100": avatar, "avatar_large_url": avatar, "display_name": person.name,
        "bio_description": person.situation, "profile_deep_link": format!("https://vm.tiktok.com/{username}"),
        "is_verified": false, "username": username, "follower_count": 120, "following_count": 30,
        "likes_count": 410, "video_count": cx.world.posts_of(&open_id).len(),
    });
    let mut user = Map::new();
    for field in asked_fields(cx)? {
        let Some((scope, _)) = USER_FIELDS.iter().find(|(_, fields)| fields.contains(&field)) else {
            return Err(api_error(400, "invalid_params", &format!("Field {field} is invalid")));
        };
        if !grant.has(scope) {
            return Err(scope_missing(scope));
        }
        user.insert(field.to_owned(), all[field].clone());
    }
    Ok(success(&json!({"user": user})))
}

fn video_node(post: &Post, username: &str, base: &str) -> Value {
    let id = (7_400_000_000_000_000_000 + post.number).to_string();
    json!({
        "create_time": post.created_at_ms / 1000, "cover_image_url": post.image_url(base),
        "share_url": format!("https://www.tiktok.com/@{username}/video/{id}"), "video_description": post.text,
        "duration": 15, "title": post.text, "embed_link": format!("https://www.tiktok.com/embed/v2/{id}"),
        "like_count": post.likes.unwrap_or_default(), "comment_count": post.comments, "share_count": post.shares,
        "view_count": 1000, "id": id,
    })
}

fn video_list(cx: &Cx<'_>) -> Result<Reply, Reply> {
    let (person, _) = authorize(cx, "video.list")?;
    let fields = asked_fields(cx)?;
    if let Some(unknown) = fields.iter().find(|field| !VIDEO_FIELDS.contains(field)) {
        return Err(api_error(400, "invalid_params", &format!("Field {unknown} is invalid")));
    }
    let body = cx.call.json.clone().unwrap_or_default();
    let count = body["max_count"].as_u64().unwrap_or(10);
    if count == 0 || count > VIDEO_LIMIT {
        return Err(api_error(400, "invalid_params", "max_count must be between 1 and 20"));
    }
    let before = body["cursor"].as_i64().filter(|&cursor| cursor > 0).unwrap_or(i64::MAX);
    let author = person.tiktok_open_id.unwrap_or_default();
    let older: Vec<&Post> = cx
        .world
        .posts_of(&author)
        .into_iter()
        .filter(|post| post.created_at_ms < before)
        .collect();
    let shown: Vec<&Post> = older
        .iter()
        .take(usize::try_from(count).unwrap_or_default())
        .copied()
        .collect();
    let videos = shown.iter().map(|post| {
        let node = video_node(post, &person.username, &cx.call.base);
        fields
            .iter()
            .map(|&field| (field.to_owned(), node[field].clone()))
            .collect::<Map<_, _>>()
    });
    let data = json!({
        "videos": videos.collect::<Vec<_>>(),
        "cursor": shown.last().map_or(0, |post| post.created_at_ms),
        "has_more": shown.len() < older.len(),
    });
    Ok(success(&data))
}

fn publish(cx: &mut Cx<'_>, path: &[&str]) -> Result<Reply, Reply> {
    match path {
        ["creator_info", "query"] => creator_info(cx),
        ["status", "fetch"] => publish_status(cx),
        ["video", "init"] => start_post(cx, "video.publish", Media::Video),
        ["inbox", "video", "init"] => start_post(cx, "video.upload", Media::Video),
        ["content", "init"] => {
            let draft = cx
                .call
                .json
                .as_ref()
                .is_some_and(|body| body["post_mode"] == "MEDIA_UPLOAD");
            start_post(cx, if draft { "video.upload" } else { "video.publish" }, Media::Image)
        }
        _ => Err(api_error(404, "invalid_params", "Unsupported path")),
    }
}

fn creator_info(cx: &Cx<'_>) -> Result<Reply, Reply> {
    let (person, _) = authorize(cx, "video.publish")?;
    Ok(success(&json!({
        "creator_avatar_url": format!("{}/avatars/{}.png", cx.call.base, person.tiktok_open_id.unwrap_or_default()),
        "creator_username": person.username, "creator_nickname": person.name, "privacy_level_options": PRIVACY,
        "comment_disabled": false, "duet_disabled": false, "stitch_disabled": true, "max_video_post_duration_sec": 600,
    })))
}

/// A post, or with `video.upload` a draft that the person finishes in the app. Media is named by address only.
fn start_post(cx: &mut Cx<'_>, scope: &str, media: Media) -> Result<Reply, Reply> {
    let (person, _) = authorize(cx, scope)?;
    let invalid = |message: &str| api_error(400, "invalid_params", message);
    let body = cx.call.json.as_ref().ok_or_else(|| invalid("The body must be JSON"))?;
    let (info, source) = (&body["post_info"], &body["source_info"]);
    if source["source"] != "PULL_FROM_URL" {
        return Err(invalid("source_info.source must be PULL_FROM_URL"));
    }
    if media == Media::Image && body["media_type"] != "PHOTO" {
        return Err(invalid("media_type must be PHOTO"));
    }
    let address = if media == Media::Video {
        &source["video_url"]
    } else {
        &source["photo_images"][0]
    };
    let address = address
        .as_str()
        .filter(|url| crate::instagram::media::is_fetchable(url));
    let address = address
        .ok_or_else(|| invalid("The media address is missing or invalid"))?
        .to_owned();
    let direct = scope == "video.publish";
    if direct
        && !info["privacy_level"]
            .as_str()
            .is_some_and(|level| PRIVACY.contains(&level))
    {
        return Err(api_error(
            403,
            "privacy_level_option_mismatch",
            "privacy_level is not one of the creator's options",
        ));
    }
    let text = info["title"]
        .as_str()
        .or_else(|| info["description"].as_str())
        .unwrap_or_default()
        .to_owned();
    let author = person.tiktok_open_id.unwrap_or_default();
    let published = direct.then(|| cx.world.publish(&author, &text, media, Some(address.clone())));
    let kind = if media == Media::Video { "v" } else { "p" };
    let id = format!("{kind}_pub_url~v2.SBX{}", cx.world.next_object());
    cx.world.containers.insert(
        id.clone(),
        Container {
            author,
            text,
            media,
            image: address,
            published,
        },
    );
    Ok(success(&json!({"publish_id": id})))
}

fn publish_status(cx: &Cx<'_>) -> Result<Reply, Reply> {
    let (person, _) = authorize(cx, "video.publish").or_else(|_| authorize(cx, "video.upload"))?;
    let id = cx
        .call
        .json
        .as_ref()
        .and_then(|body| body["publish_id"].as_str())
        .unwrap_or_default();
    let own = cx
        .world
        .containers
        .get(id)
        .filter(|container| Some(&container.author) == person.tiktok_open_id.as_ref());
    let container = own.ok_or_else(|| api_error(400, "invalid_publish_id", "The publish_id does not exist"))?;
    let posts: Vec<u64> = container
        .published
        .iter()
        .map(|number| 7_400_000_000_000_000_000 + number)
        .collect();
    let status = if posts.is_empty() {
        "SEND_TO_USER_INBOX"
    } else {
        "PUBLISH_COMPLETE"
    };
    // The platform's own spelling.
    Ok(success(
        &json!({"status": status, "publicaly_available_post_id": posts}),
    ))
}

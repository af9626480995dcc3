//! TikTok's API: user info, videos, posting. Each field and each call has its scope; every answer carries an `error`,
//! `ok` when there is none.

use serde_json::{Map, Value, json};

use super::{api_error, log_id};
use crate::call::Reply;
use crate::instagram::media::is_fetchable;
use crate::platform::{Cx, Platform};
use crate::switches::Effect;
use crate::world::people::Person;
use crate::world::posts::{Container, Media, Post};
use crate::world::tokens::{Grant, Kind};

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

fn success(data: &Value) -> Reply {
    Reply::json(
        200,
        &json!({"data": data, "error": {"code": "ok", "message": "", "log_id": log_id()}}),
    )
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

pub(super) fn user_info(cx: &Cx<'_>) -> Result<Reply, Reply> {
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

pub(super) fn video_list(cx: &Cx<'_>) -> Result<Reply, Reply> {
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

pub(super) fn publish(cx: &mut Cx<'_>, path: &[&str]) -> Result<Reply, Reply> {
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
    let address = address.as_str().filter(|url| is_fetchable(url));
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

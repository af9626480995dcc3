//! X's API below `/2`: who is this, posts, posting. Errors are problem+json; every answer tells its rate limit.

use serde_json::{Map, Value, json};

use super::problem;
use crate::call::Reply;
use crate::platform::{Cx, Platform};
use crate::switches::Effect;
use crate::world::clock::x_time;
use crate::world::people::Person;
use crate::world::posts::{Media, Post};
use crate::world::tokens::{Grant, Kind};

const TEXT_LIMIT: usize = 280;
const USER_FIELDS: [&str; 13] = [
    "id",
    "name",
    "username",
    "profile_image_url",
    "verified",
    "verified_type",
    "protected",
    "public_metrics",
    "subscription_type",
    "created_at",
    "description",
    "location",
    "confirmed_email",
];

/// The grant behind the bearer token, if it has the scopes.
fn authorize(cx: &Cx<'_>, scopes: &[&str]) -> Result<(Person, Grant), Reply> {
    let unauthorized = |why: &str| problem(401, "Unauthorized", "Unauthorized", "about:blank").because(why);
    if let Some(Effect::ApiError { status, code, message }) = cx
        .effects
        .find(|effect| matches!(effect, Effect::ApiError { .. }).then_some(effect))
    {
        let kind = format!("https://api.x.com/2/problems/{code}");
        return Err(problem(*status, code, message.as_deref().unwrap_or(code), &kind));
    }
    let token = cx.call.bearer().and_then(|value| cx.world.token(value));
    let token = token.filter(|token| token.platform == Platform::X && token.kind == Kind::Access);
    let token = token.ok_or_else(|| unauthorized("access token missing or unknown"))?;
    cx.world
        .check(token)
        .map_err(|death| unauthorized(&format!("access token {death:?}").to_lowercase()))?;
    let (Some(grant), Some(person)) = (cx.world.grant(token.grant), cx.world.person(&token.person)) else {
        return Err(unauthorized("grant unknown"));
    };
    if !grant.has_all(scopes) {
        let kind = "https://api.x.com/2/problems/not-authorized-for-resource";
        return Err(
            problem(403, "Forbidden", "You are not permitted to perform this action.", kind).because("scope missing"),
        );
    }
    Ok((person.clone(), grant.clone()))
}

fn with_limits(cx: &Cx<'_>, reply: Reply, limit: u32) -> Reply {
    reply
        .with("x-rate-limit-limit", &limit.to_string())
        .with("x-rate-limit-remaining", &(limit - 1).to_string())
        .with("x-rate-limit-reset", &(cx.world.now_seconds() + 900).to_string())
}

fn invalid_fields(detail: &str) -> Reply {
    problem(
        400,
        "Invalid Request",
        detail,
        "https://api.x.com/2/problems/invalid-request",
    )
}

pub(super) fn me(cx: &Cx<'_>) -> Result<Reply, Reply> {
    let (person, grant) = authorize(cx, &["users.read", "tweet.read"])?;
    let fields: Vec<&str> = cx
        .call
        .query
        .first("user.fields")
        .unwrap_or_default()
        .split(',')
        .collect();
    if let Some(unknown) = fields
        .iter()
        .find(|field| !field.is_empty() && !USER_FIELDS.contains(field))
    {
        return Err(invalid_fields(&format!(
            "The `user.fields` query parameter value [{unknown}] is not valid"
        )));
    }
    let id = person.x_id.clone().unwrap_or_default();
    let all = json!({
        "profile_image_url": format!("{}/avatars/{id}.png", cx.call.base),
        "verified": false,
        "verified_type": "none",
        "protected": person.id == "dora",
        "public_metrics": {"followers_count": 10, "following_count": 5, "tweet_count": cx.world.posts_of(&id).len(), "listed_count": 0},
        "subscription_type": "None",
        "created_at": "2020-01-01T00:00:00.000Z",
        "description": person.situation,
        "location": "Sandbox",
    });
    let mut user = Map::from_iter([
        ("id".to_owned(), json!(id)),
        ("name".to_owned(), json!(person.name)),
        ("username".to_owned(), json!(person.username.replace('.', "_"))),
    ]);
    for field in fields {
        match all.get(field) {
            Some(value) => drop(user.insert(field.to_owned(), value.clone())),
            None if field == "confirmed_email" && grant.has("users.email") => {
                user.insert(field.to_owned(), json!(format!("{}@example.test", person.id)));
            }
            None => {}
        }
    }
    Ok(with_limits(cx, Reply::json(200, &json!({"data": user})), 75))
}

fn rendered(post: &Post) -> Value {
    let id = tweet_id(post.number);
    json!({
        "id": id,
        "text": post.text,
        "created_at": x_time(post.created_at_ms),
        "edit_history_tweet_ids": [id],
        "public_metrics": {"retweet_count": post.shares, "reply_count": post.comments, "like_count": post.likes.unwrap_or_default(), "quote_count": 0},
    })
}

fn tweet_id(number: u64) -> String {
    (1_990_000_000_000_000_000 + number).to_string()
}

pub(super) fn timeline(cx: &Cx<'_>, id: &str) -> Result<Reply, Reply> {
    authorize(cx, &["users.read", "tweet.read"])?;
    let count = cx.call.query.first("max_results").unwrap_or("10").parse::<usize>().ok();
    let Some(count) = count.filter(|count| (5..=100).contains(count)) else {
        return Err(invalid_fields(
            "The `max_results` query parameter value is not between 5 and 100",
        ));
    };
    let start = match cx.call.query.first("pagination_token") {
        Some(token) => token.strip_prefix("7140sbx").and_then(|n| n.parse::<usize>().ok()),
        None => Some(0),
    };
    let start = start.ok_or_else(|| invalid_fields("The `pagination_token` query parameter value is not valid"))?;
    let posts = cx.world.posts_of(id);
    let data: Vec<Value> = posts
        .iter()
        .skip(start)
        .take(count)
        .map(|post| rendered(post))
        .collect();
    if data.is_empty() {
        return Ok(with_limits(
            cx,
            Reply::json(200, &json!({"meta": {"result_count": 0}})),
            900,
        ));
    }
    let mut meta = json!({"result_count": data.len(), "newest_id": data.first().map(|one| &one["id"]), "oldest_id": data.last().map(|one| &one["id"])});
    if start + count < posts.len() {
        meta["next_token"] = json!(format!("7140sbx{}", start + count));
    }
    Ok(with_limits(
        cx,
        Reply::json(200, &json!({"data": data, "meta": meta})),
        900,
    ))
}

pub(super) fn tweet(cx: &mut Cx<'_>) -> Result<Reply, Reply> {
    let (person, _) = authorize(cx, &["tweet.write", "tweet.read", "users.read"])?;
    let body = cx
        .call
        .json
        .as_ref()
        .ok_or_else(|| invalid_fields("The body must be JSON"))?;
    let text = body["text"].as_str().unwrap_or_default();
    if body.get("media").is_some() {
        return Err(invalid_fields("Your media IDs are invalid."));
    }
    if text.is_empty() || text.chars().count() > TEXT_LIMIT {
        return Err(invalid_fields("The text must have 1 to 280 characters"));
    }
    let author = person.x_id.unwrap_or_default();
    if cx.world.is_duplicate(&author, text) {
        return Err(problem(
            403,
            "Forbidden",
            "You are not allowed to create a Tweet with duplicate content.",
            "about:blank",
        ));
    }
    let id = tweet_id(cx.world.publish(&author, text, Media::Text, None));
    let reply = Reply::json(
        201,
        &json!({"data": {"id": id, "text": text, "edit_history_tweet_ids": [id]}}),
    );
    Ok(with_limits(cx, reply, 100))
}

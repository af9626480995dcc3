//! Instagram accounts, media and publishing, the same for both ways of signing in. Who may ask is checked before, in
//! `instagram.rs` and `facebook/pages.rs`.

use serde_json::{Value, json};

use crate::call::Reply;
use crate::graph::{GraphError, fields, paged, select};
use crate::platform::Cx;
use crate::world::clock::{DAY_MS, graph_time};
use crate::world::people::InstagramAccount;
use crate::world::posts::{Container, Media, Post};

const MEDIA_FIELDS: [&str; 14] = [
    "id",
    "caption",
    "media_type",
    "media_product_type",
    "media_url",
    "thumbnail_url",
    "permalink",
    "timestamp",
    "username",
    "like_count",
    "comments_count",
    "comments",
    "children",
    "owner",
];
const ACCOUNT_FIELDS: [&str; 9] = [
    "id",
    "name",
    "username",
    "profile_picture_url",
    "followers_count",
    "follows_count",
    "media_count",
    "biography",
    "website",
];
const USUAL_LIMIT: usize = 25;
const LIMIT: usize = 100;
/// Posts in 24 hours.
const QUOTA: usize = 50;

/// An absolute web address; whether anything is there is not tried.
pub(crate) fn is_fetchable(address: &str) -> bool {
    url::Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// The account as `graph.facebook.com` shows it.
pub(crate) fn account_node(cx: &Cx<'_>, account: &InstagramAccount) -> Value {
    json!({
        "id": account.id, "name": account.name, "username": account.username, "biography": "Sandbox",
        "profile_picture_url": format!("{}/avatars/{}.png", cx.call.base, account.id),
        "followers_count": 120, "follows_count": 30, "media_count": cx.world.posts_of(&account.id).len(),
    })
}

/// What stands below an account (`rest` without the id), or a container when `id` is one.
pub(crate) fn route(cx: &mut Cx<'_>, account: &InstagramAccount, rest: &[&str], id: &str) -> Result<Reply, GraphError> {
    match (cx.call.method.as_str(), rest) {
        ("GET", []) if cx.world.containers.contains_key(id) => container_status(cx, id),
        ("GET", []) => {
            let wanted = fields(cx.call.graph_param("fields").as_deref().unwrap_or("id"))?;
            Ok(Reply::json(
                200,
                &select(&account_node(cx, account), &wanted, &ACCOUNT_FIELDS, "IGUser")?,
            ))
        }
        ("GET", ["media"]) => list(cx, account),
        ("GET", ["content_publishing_limit"]) => Ok(publishing_limit(cx, account)),
        ("POST", ["media"]) => create(cx, account),
        ("POST", ["media_publish"]) => publish(cx, account),
        _ => Err(GraphError::unknown_object(id)),
    }
}

fn list(cx: &Cx<'_>, account: &InstagramAccount) -> Result<Reply, GraphError> {
    let wanted = fields(cx.call.graph_param("fields").as_deref().unwrap_or("id"))?;
    let nodes = cx
        .world
        .posts_of(&account.id)
        .into_iter()
        .map(|post| media_node(cx, account, post));
    let selected = nodes.map(|node| select(&node, &wanted, &MEDIA_FIELDS, "IGMedia"));
    let list = selected.collect::<Result<Vec<_>, _>>()?;
    Ok(Reply::json(200, &paged(cx.call, list, USUAL_LIMIT, LIMIT)?))
}

fn media_id(number: u64, child: u64) -> String {
    (18_000_000_000_000_000 + number * 10 + child).to_string()
}

fn media_node(cx: &Cx<'_>, account: &InstagramAccount, post: &Post) -> Value {
    let image = post.image_url(&cx.call.base);
    let child = |n: u64| json!({"id": media_id(post.number, n), "media_type": "IMAGE", "media_url": image});
    let video = post.media == Media::Video;
    json!({
        "id": media_id(post.number, 0), "caption": post.text,
        "media_type": match post.media { Media::Video => "VIDEO", Media::Album => "CAROUSEL_ALBUM", _ => "IMAGE" },
        "media_product_type": if video { "REELS" } else { "FEED" },
        // Absent now and then, as for media with a copyright claim.
        "media_url": (post.media != Media::Text).then(|| image.clone()),
        "thumbnail_url": video.then(|| image.clone()),
        "permalink": format!("https://www.instagram.com/p/SBX{}/", post.number),
        "timestamp": graph_time(post.created_at_ms), "username": account.username,
        "like_count": post.likes, "comments_count": post.comments, "comments": {"data": comments(post)}, "owner": {"id": account.id},
        "children": (post.media == Media::Album).then(|| json!({"data": [child(1), child(2)]})),
    })
}

/// The first of a post's comments.
fn comments(post: &Post) -> Vec<Value> {
    let said = [("rosa.field", "Keep one for me!"), ("ben.kessler", "Best in town")];
    let count = usize::try_from(post.comments).unwrap_or(said.len());
    let first = said.iter().take(count);
    first
        .map(|(who, what)| json!({"username": who, "text": what}))
        .collect()
}

fn published_today(cx: &Cx<'_>, account: &InstagramAccount) -> usize {
    let since = cx.world.now_ms() - DAY_MS;
    cx.world
        .posts_of(&account.id)
        .iter()
        .filter(|post| post.number > 2_000_000 && post.created_at_ms > since)
        .count()
}

fn publishing_limit(cx: &Cx<'_>, account: &InstagramAccount) -> Reply {
    let row = json!({"quota_usage": published_today(cx, account), "config": {"quota_total": QUOTA, "quota_duration": 86_400}});
    Reply::json(200, &json!({"data": [row]}))
}

/// Step one: a container that holds the picture and the caption.
fn create(cx: &mut Cx<'_>, account: &InstagramAccount) -> Result<Reply, GraphError> {
    if !account.is_professional() {
        return Err(GraphError::new(
            10,
            "(#10) The user is not an Instagram Business account",
        ));
    }
    let (image, video) = (cx.call.graph_param("image_url"), cx.call.graph_param("video_url"));
    let (address, media) = match (image, video) {
        (Some(image), None) => (image, Media::Image),
        (None, Some(video)) => (video, Media::Video),
        _ => return Err(GraphError::parameter("The parameter image_url is required")),
    };
    if !is_fetchable(&address) {
        return Err(GraphError::new(9004, "Only photo or video can be accepted as media type.").sub(2_207_052));
    }
    let id = (17_900_000_000_000_000 + cx.world.next_object()).to_string();
    let container = Container {
        author: account.id.clone(),
        text: cx.call.graph_param("caption").unwrap_or_default(),
        media,
        image: address,
        published: None,
    };
    cx.world.containers.insert(id.clone(), container);
    Ok(Reply::json(200, &json!({"id": id})))
}

/// Step two: the container becomes a post, once.
fn publish(cx: &mut Cx<'_>, account: &InstagramAccount) -> Result<Reply, GraphError> {
    let id = cx.call.graph_param("creation_id");
    let id = id.ok_or_else(|| GraphError::parameter("The parameter creation_id is required"))?;
    let container = cx
        .world
        .containers
        .get(&id)
        .filter(|container| container.author == account.id)
        .cloned();
    let container =
        container.ok_or_else(|| GraphError::new(24, "The requested resource does not exist").sub(2_207_006))?;
    if container.published.is_some() {
        return Err(GraphError::new(9007, "Media ID is not available").sub(2_207_027));
    }
    if published_today(cx, account) >= QUOTA {
        return Err(GraphError::new(9, "Application request limit reached").sub(2_207_042));
    }
    let number = cx
        .world
        .publish(&account.id, &container.text, container.media, Some(container.image));
    if let Some(container) = cx.world.containers.get_mut(&id) {
        container.published = Some(number);
    }
    Ok(Reply::json(200, &json!({"id": media_id(number, 0)})))
}

fn container_status(cx: &Cx<'_>, id: &str) -> Result<Reply, GraphError> {
    let published = cx
        .world
        .containers
        .get(id)
        .is_some_and(|container| container.published.is_some());
    let code = if published { "PUBLISHED" } else { "FINISHED" };
    let node = json!({"id": id, "status_code": code, "status": format!("{code}: media is ready")});
    let wanted = fields(cx.call.graph_param("fields").as_deref().unwrap_or("id"))?;
    Ok(Reply::json(
        200,
        &select(&node, &wanted, &["id", "status_code", "status"], "IGContainer")?,
    ))
}

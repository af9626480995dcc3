//! Facebook's people, Pages, businesses and posts, and the way to Instagram accounts linked to Pages.
//! What a call may touch: Pages that were ticked at consent and where the person still has a role.

use serde_json::{Value, json};

use super::{Caller, caller, issue};
use crate::call::Reply;
use crate::graph::{Field, GraphError, fields, paged, select};
use crate::instagram::media;
use crate::platform::Cx;
use crate::world::clock::graph_time;
use crate::world::people::{InstagramAccount, Page};
use crate::world::posts::{Media, Post};
use crate::world::tokens::Kind;

const USER_FIELDS: [&str; 6] = ["id", "name", "first_name", "last_name", "email", "picture"];
const PAGE_FIELDS: [&str; 13] = [
    "id",
    "name",
    "username",
    "access_token",
    "category",
    "category_list",
    "tasks",
    "picture",
    "link",
    "fan_count",
    "followers_count",
    "instagram_business_account",
    "connected_instagram_account",
];
const POST_FIELDS: [&str; 13] = [
    "id",
    "message",
    "story",
    "created_time",
    "permalink_url",
    "full_picture",
    "status_type",
    "attachments",
    "shares",
    "likes",
    "comments",
    "from",
    "is_published",
];
const USUAL_LIMIT: usize = 25;
const POSTS_LIMIT: usize = 100;

/// Everything below a person, a Page, a business or an Instagram account.
pub(super) fn route(cx: &mut Cx<'_>, path: &[&str]) -> Result<Reply, GraphError> {
    match (cx.call.method.as_str(), path) {
        ("GET", ["me"]) => me(cx),
        ("GET", ["me", "accounts"]) => accounts(cx),
        ("GET", ["me", "businesses"]) => businesses(cx),
        ("GET", [business, edge @ ("owned_pages" | "client_pages")]) => business_pages(cx, business, edge),
        ("GET", [page, "published_posts" | "feed" | "posts"]) => posts(cx, page),
        ("POST", [page, edge @ ("feed" | "photos" | "videos")]) => publish(cx, page, edge),
        ("GET", [id]) if cx.world.page(id).is_some() => page(cx, id),
        (_, [id, ..]) if id.starts_with("1784") => instagram(cx, path),
        ("GET", [id]) if id.starts_with("1790") => instagram(cx, path),
        (_, [id, ..]) => {
            caller(cx)?;
            Err(GraphError::unknown_object(id))
        }
        _ => Err(GraphError::new(2500, "Unknown path components")),
    }
}

fn wanted(cx: &Cx<'_>, usual: &str) -> Result<Vec<Field>, GraphError> {
    fields(cx.call.graph_param("fields").as_deref().unwrap_or(usual))
}

fn picture(cx: &Cx<'_>, id: &str) -> Value {
    let url = format!("{}/avatars/{id}.png", cx.call.base);
    json!({"data": {"height": 50, "is_silhouette": false, "url": url, "width": 50}})
}

/// The person, or with a Page token the Page.
fn me(cx: &mut Cx<'_>) -> Result<Reply, GraphError> {
    let caller = caller(cx)?;
    if let Some(id) = caller.token.destination.clone() {
        return page(cx, &id);
    }
    let (first, last) = caller.person.name_parts();
    let id = &caller.person.facebook_id;
    let email = caller
        .grant
        .has("email")
        .then(|| format!("{}@example.test", caller.person.id));
    let node = json!({
        "id": id, "name": caller.person.name, "first_name": first, "last_name": last, "email": email,
        "picture": picture(cx, id),
    });
    Ok(Reply::json(
        200,
        &select(&node, &wanted(cx, "id,name")?, &USER_FIELDS, "User")?,
    ))
}

fn accounts(cx: &mut Cx<'_>) -> Result<Reply, GraphError> {
    let caller = caller(cx)?;
    if !caller.grant.has("pages_show_list") {
        return Err(GraphError::permission("pages_show_list"));
    }
    list_pages(cx, &caller, |page| !page.business_only)
}

/// One result page of the Pages that `listed` picks; Page tokens are made only for those.
fn list_pages(cx: &mut Cx<'_>, caller: &Caller, listed: impl Fn(&Page) -> bool) -> Result<Reply, GraphError> {
    let wanted = wanted(cx, "access_token,category,category_list,name,id,tasks")?;
    let own = cx
        .world
        .pages
        .iter()
        .filter(|page| may_touch(caller, page) && listed(page));
    let ids: Vec<Value> = own.map(|page| json!(page.id)).collect();
    let most = cx.world.profile.facebook_page_limit;
    let mut body = paged(cx.call, ids, USUAL_LIMIT, most)?;
    if let Some(data) = body["data"].as_array_mut() {
        for entry in data {
            let page = entry.as_str().and_then(|id| cx.world.page(id)).cloned();
            if let Some(page) = page {
                let node = page_node(cx, caller, &page, &wanted);
                *entry = select(&node, &wanted, &PAGE_FIELDS, "Page")?;
            }
        }
    }
    Ok(Reply::json(200, &body))
}

fn may_touch(caller: &Caller, page: &Page) -> bool {
    !page.tasks(caller.person.id).is_empty()
        && caller.grant.destinations.contains(&page.id)
        && caller.token.destination.as_ref().is_none_or(|only| *only == page.id)
}

fn page_node(cx: &mut Cx<'_>, caller: &Caller, page: &Page, wanted: &[Field]) -> Value {
    let token = wanted
        .iter()
        .any(|field| field.name == "access_token")
        .then(|| page_token(cx, caller, page));
    let linked = page
        .instagram
        .as_deref()
        .filter(|_| caller.grant.has("instagram_basic"));
    let account = linked
        .and_then(|id| cx.world.instagram_account(id))
        .filter(|account| account.is_professional());
    json!({
        "id": page.id, "name": page.name, "username": page.username, "access_token": token,
        "category": page.category, "category_list": [{"id": "2500", "name": page.category}],
        "tasks": page.tasks(caller.person.id), "picture": picture(cx, &page.id),
        "link": format!("https://www.facebook.com/{}", page.id), "fan_count": 120, "followers_count": 120,
        "instagram_business_account": account.map(|account| linked_account(cx, account, wanted)),
        "connected_instagram_account": account.map(|account| json!({"id": account.id})),
    })
}

/// Without a list of its own fields only the id.
fn linked_account(cx: &Cx<'_>, account: &InstagramAccount, wanted: &[Field]) -> Value {
    let bare = wanted
        .iter()
        .any(|field| field.name == "instagram_business_account" && field.children.is_empty());
    if bare {
        json!({"id": account.id})
    } else {
        media::account_node(cx, account)
    }
}

/// The Page token made from this user token: without end when that is a long one, else it ends with it.
fn page_token(cx: &mut Cx<'_>, caller: &Caller, page: &Page) -> String {
    if caller.token.kind == Kind::Page {
        return caller.token.value.clone();
    }
    let made = cx.world.tokens_of(caller.grant.id).find(|token| {
        token.parent == Some(caller.token.id) && token.destination.as_ref() == Some(&page.id) && token.ended.is_none()
    });
    if let Some(token) = made {
        return token.value.clone();
    }
    let left = caller.token.seconds_left(cx.world.now_ms());
    let seconds = if caller.token.kind == Kind::Long { None } else { left };
    issue(
        cx,
        Kind::Page,
        caller.grant.id,
        seconds,
        Some(caller.token.id),
        Some(page.id.clone()),
    )
    .value
}

fn businesses(cx: &Cx<'_>) -> Result<Reply, GraphError> {
    let caller = caller(cx)?;
    if !caller.grant.has("business_management") {
        return Err(GraphError::permission("business_management"));
    }
    let own = cx
        .world
        .businesses
        .iter()
        .filter(|business| business.person == caller.person.id);
    let list = own
        .map(|business| json!({"id": business.id, "name": business.name}))
        .collect();
    Ok(Reply::json(200, &paged(cx.call, list, USUAL_LIMIT, POSTS_LIMIT)?))
}

fn business_pages(cx: &mut Cx<'_>, id: &str, edge: &str) -> Result<Reply, GraphError> {
    let caller = caller(cx)?;
    if !caller.grant.has("business_management") {
        return Err(GraphError::permission("business_management"));
    }
    let business = cx
        .world
        .businesses
        .iter()
        .find(|business| business.id == id && business.person == caller.person.id);
    let business = business.ok_or_else(|| GraphError::unknown_object(id))?;
    let ids = if edge == "owned_pages" {
        business.owned
    } else {
        business.client
    };
    list_pages(cx, &caller, |page| ids.contains(&page.id.as_str()))
}

fn page(cx: &mut Cx<'_>, id: &str) -> Result<Reply, GraphError> {
    let caller = caller(cx)?;
    let page = cx.world.page(id).filter(|page| may_touch(&caller, page)).cloned();
    let page = page.ok_or_else(|| GraphError::unknown_object(id))?;
    let wanted = wanted(cx, "id,name")?;
    let node = page_node(cx, &caller, &page, &wanted);
    Ok(Reply::json(200, &select(&node, &wanted, &PAGE_FIELDS, "Page")?))
}

/// Posts are read and written with the Page's own token.
fn own_page(cx: &Cx<'_>, id: &str, scope: &str) -> Result<(Caller, Page), GraphError> {
    let caller = caller(cx)?;
    let page = cx.world.page(id).filter(|page| may_touch(&caller, page)).cloned();
    let page = page.ok_or_else(|| GraphError::unknown_object(id))?;
    if caller.token.kind != Kind::Page {
        return Err(GraphError::new(
            210,
            "(#210) A page access token is required to request this resource.",
        ));
    }
    if !caller.grant.has(scope) {
        return Err(GraphError::permission(scope));
    }
    Ok((caller, page))
}

fn posts(cx: &Cx<'_>, id: &str) -> Result<Reply, GraphError> {
    let (_, page) = own_page(cx, id, "pages_read_engagement")?;
    let wanted = wanted(cx, "id,message,created_time")?;
    let nodes = cx
        .world
        .posts_of(&page.id)
        .into_iter()
        .map(|post| post_node(cx, &page, post));
    let selected = nodes.map(|node| select(&node, &wanted, &POST_FIELDS, "PagePost"));
    let list = selected.collect::<Result<Vec<_>, _>>()?;
    Ok(Reply::json(200, &paged(cx.call, list, USUAL_LIMIT, POSTS_LIMIT)?))
}

fn post_number(post: &Post) -> u64 {
    555_000_000_000_000 + post.number
}

fn post_node(cx: &Cx<'_>, page: &Page, post: &Post) -> Value {
    let number = post_number(post);
    let image = post.image_url(&cx.call.base);
    let permalink = format!("https://www.facebook.com/{}/posts/{number}", page.id);
    let part = json!({"media_type": "photo", "media": {"image": {"src": image}}, "url": permalink});
    let attachments = match post.media {
        Media::Text => Value::Null,
        Media::Image => json!({"data": [part]}),
        Media::Video => {
            json!({"data": [{"media_type": "video", "media": {"image": {"src": image}}, "url": permalink}]})
        }
        Media::Album => json!({"data": [{"media_type": "album", "media": {"image": {"src": image}}, "url": permalink,
            "subattachments": {"data": [part, part]}}]}),
    };
    json!({
        "id": format!("{}_{number}", page.id), "message": post.text, "created_time": graph_time(post.created_at_ms),
        "permalink_url": permalink, "full_picture": image, "is_published": true,
        "status_type": match post.media { Media::Text => "mobile_status_update", Media::Video => "added_video", _ => "added_photos" },
        "attachments": attachments,
        "shares": (post.shares > 0).then(|| json!({"count": post.shares})),
        "likes": {"data": [], "summary": {"total_count": post.likes.unwrap_or_default(), "can_like": true, "has_liked": false}},
        "comments": {"data": comments(post), "summary": {"order": "ranked", "total_count": post.comments, "can_comment": true}},
        "from": {"id": page.id, "name": page.name},
    })
}

/// The first of a post's comments.
fn comments(post: &Post) -> Vec<Value> {
    let said = [("Rosa Field", "Keep one for me!"), ("Ben Kessler", "Best in town")];
    let count = usize::try_from(post.comments).unwrap_or(said.len());
    let first = said.iter().take(count);
    first
        .map(|(who, what)| json!({"from": {"name": who}, "message": what}))
        .collect()
}

fn publish(cx: &mut Cx<'_>, id: &str, edge: &str) -> Result<Reply, GraphError> {
    let (caller, page) = own_page(cx, id, "pages_manage_posts")?;
    if !page.can_publish(caller.person.id) {
        return Err(GraphError::new(
            200,
            "(#200) The user hasn't authorized the application to perform this action",
        ));
    }
    let text = |name: &str| cx.call.graph_param(name);
    let (message, media, image) = match edge {
        "feed" => (text("message").or_else(|| text("link")), Media::Text, None),
        "photos" => (Some(text("caption").unwrap_or_default()), Media::Image, text("url")),
        _ => (
            Some(text("description").unwrap_or_default()),
            Media::Video,
            text("file_url"),
        ),
    };
    let message = message.ok_or_else(|| GraphError::parameter("One of message, link is required"))?;
    if media != Media::Text && !image.as_deref().is_some_and(media::is_fetchable) {
        return Err(GraphError::new(324, "(#324) Missing or invalid image file"));
    }
    if cx.world.is_duplicate(&page.id, &message) {
        return Err(GraphError::new(506, "(#506) Duplicate status message"));
    }
    let number = 555_000_000_000_000 + cx.world.publish(&page.id, &message, media, image);
    let post_id = format!("{}_{number}", page.id);
    let body = match edge {
        "feed" => json!({"id": post_id}),
        "photos" => json!({"id": number.to_string(), "post_id": post_id}),
        _ => json!({"id": number.to_string()}),
    };
    Ok(Reply::json(200, &body))
}

/// Instagram through Facebook: the account must be linked to a Page that the caller may touch.
fn instagram(cx: &mut Cx<'_>, path: &[&str]) -> Result<Reply, GraphError> {
    let caller = caller(cx)?;
    let id = path.first().copied().unwrap_or_default();
    let account_id = cx
        .world
        .containers
        .get(id)
        .map_or_else(|| id.to_owned(), |container| container.author.clone());
    let linked = |page: &&Page| page.instagram.as_ref() == Some(&account_id) && may_touch(&caller, page);
    let page = cx.world.pages.iter().find(linked).cloned();
    let account: Option<InstagramAccount> = cx.world.instagram_account(&account_id).cloned();
    let (Some(page), Some(account)) = (page, account) else {
        return Err(GraphError::unknown_object(id));
    };
    let writes = cx.call.is_post() || path.last() == Some(&"content_publishing_limit");
    let scope = if writes {
        "instagram_content_publish"
    } else {
        "instagram_basic"
    };
    if !caller.grant.has(scope) {
        return Err(GraphError::new(
            10,
            "(#10) Application does not have permission for this action",
        ));
    }
    if cx.call.is_post() && !page.can_publish(caller.person.id) {
        return Err(GraphError::new(
            200,
            "(#200) The user hasn't authorized the application to perform this action",
        ));
    }
    media::route(cx, &account, path.get(1..).unwrap_or_default(), id)
}

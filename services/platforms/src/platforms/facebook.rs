//! Facebook Pages. One person's grant carries many Pages, each with a token of its own that has no end and dies with the
//! grant. The person's token lives about 60 days and is exchanged for a later one; an answer that does not move its
//! end is a failed attempt. Codes may be refused one permission at a time; Pages of businesses need an extra walk.

use proto::platforms::v1::{Credential, Destination, DiscoverResponse, Media, Post, PostComment, RawAnswer, Renewal};
use serde_json::Value;

use crate::adapter::{Adapter, Draft, PostPage, Result, Target};
use crate::app::App;
use crate::classify;
use crate::ctx::Ctx;
use crate::discovery;
use crate::graph;
use crate::graph_errors::ERRORS;
use crate::http::Outgoing;
use crate::oauth::Ask;
use crate::spec::{ClientAuth, DAY, HOUR, Need, Pkce, Platform, Scope, Spec};

pub(crate) const PLATFORM: Platform = Platform {
    id: "facebook",
    title: "Facebook",
    short_title: "Facebook",
    capabilities: &[
        "publish",
        "post_feed",
        "comment_previews",
        "engagement_stats",
        "content_sync",
        "comment_management",
        "analytics",
    ],
    token_diagnostics: true,
    settings_hint: "Facebook > Settings > Business Integrations",
    connectors: &[&Facebook],
};

static SPEC: Spec = Spec {
    id: "facebook",
    method: "oauth",
    scopes: &[
        Scope::new("pages_show_list", "see your Pages", Need::Required),
        Scope::new("pages_read_engagement", "read posts and comments", Need::Required),
        Scope::new("pages_manage_posts", "publish to the Page", Need::Publish),
        Scope::new("pages_manage_engagement", "reply to comments", Need::Optional),
        Scope::new("pages_read_user_content", "read visitors' posts", Need::Optional),
        Scope::new("read_insights", "analytics", Need::Optional),
        Scope::new("business_management", "see business assets", Need::Optional),
        Scope::new("public_profile", "see your name", Need::Optional),
    ],
    separator: ",",
    client_id: "client_id",
    client_auth: ClientAuth::Query,
    pkce: Pkce::None,
    dialog_path: "/{version}/dialog/oauth",
    token_path: "/{version}/oauth/access_token",
    renewal: Renewal::Exchange,
    renewal_by_refresh_token: Renewal::Exchange,
    repeatable_refresh: true,
    min_refresh_age_ms: 0,
    announced_refresh: true,
    shared_grant: true,
    revocable: true,
    publish_needs_image: false,
    daily_limits: false,
    versioned: true,
    first_lifetime_ms: HOUR,
    default_lifetime_ms: 60 * DAY,
    errors: ERRORS,
};

/// What is asked of each Page.
const PAGE_FIELDS: &str = "id,name,username,access_token,tasks,picture.type(square){url}";
const POST_FIELDS: &str = "id,message,story,created_time,permalink_url,full_picture,status_type,\
    attachments{media_type,media,url,subattachments{media_type,media,url}},shares,\
    likes.summary(true),comments.limit(3).summary(true){from{name},message}";

/// The adapter.
pub(crate) struct Facebook;

/// Makes Meta's dialog ask again for what was declined. Always: whoever declined at a first connection that failed would
/// otherwise never be asked again.
pub(crate) fn rerequest() -> Vec<(&'static str, String)> {
    vec![("auth_type", "rerequest".to_owned())]
}

#[tonic::async_trait]
impl Adapter for Facebook {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn dialog_extras(&self, _ask: &Ask<'_>) -> Vec<(&'static str, String)> {
        rerequest()
    }

    fn next_call(&self, app: &App, answers: &[RawAnswer]) -> Option<Outgoing> {
        graph::short_token(answers).map(|token| graph::exchange_call(&SPEC, app, "long_lived", &token))
    }

    fn refresh_call(&self, app: &App, credential: &Credential) -> Option<Outgoing> {
        Some(graph::exchange_call(&SPEC, app, "refresh", &credential.access_token))
    }

    async fn discover(&self, ctx: &Ctx, credential: &Credential) -> Result<DiscoverResponse> {
        Ok(reached(ctx, credential).await?.found)
    }

    async fn inspect(&self, ctx: &Ctx, credential: &Credential, known: &[Destination]) -> Result<DiscoverResponse> {
        let graph::Grant { mut found, .. } = reached(ctx, credential).await?;
        let listed = found.granted_scopes.iter().any(|scope| scope == "pages_show_list");
        let problem = if listed {
            discovery::ROLE_LOST
        } else {
            discovery::PERMISSION_MISSING
        };
        discovery::add_lost(&mut found, known, problem);
        Ok(found)
    }

    async fn revoke(&self, ctx: &Ctx, credential: &Credential, platform_user_id: &str) -> Result<()> {
        graph::revoke(ctx, credential, platform_user_id).await
    }

    async fn posts(&self, ctx: &Ctx, target: &Target, limit: u32, cursor: &str) -> Result<PostPage> {
        let mut query = vec![("fields", POST_FIELDS.to_owned()), ("limit", limit.to_string())];
        query.extend((!cursor.is_empty()).then(|| ("after", cursor.to_owned())));
        let answer = graph::get(
            ctx,
            &target.id,
            &target.token,
            &format!("/{}/published_posts", target.id),
            query,
        )
        .await?;
        Ok(page_of(&answer, post))
    }

    async fn publish(&self, ctx: &Ctx, target: &Target, draft: &Draft) -> Result<Post> {
        let (edge, form) = if draft.image_url.is_empty() {
            ("feed", vec![("message", draft.text.clone())])
        } else {
            (
                "photos",
                vec![("url", draft.image_url.clone()), ("caption", draft.text.clone())],
            )
        };
        let answer = graph::post(ctx, &target.id, &target.token, &format!("/{}/{edge}", target.id), form).await?;
        let id = if answer["post_id"].is_string() {
            &answer["post_id"]
        } else {
            &answer["id"]
        };
        let id = discovery::required_id(id)?;
        Ok(Post {
            permalink: format!("https://www.facebook.com/{id}"),
            ..discovery::published(ctx, draft, id)
        })
    }
}

/// The person's grant with every Page as a destination.
async fn reached(ctx: &Ctx, credential: &Credential) -> Result<graph::Grant> {
    let mut grant = graph::grant(ctx, credential).await?;
    for page in grant.pages(ctx, credential, PAGE_FIELDS).await? {
        let (id, name, token) = (
            discovery::required_id(&page["id"])?,
            classify::text(&page["name"]),
            classify::text(&page["access_token"]),
        );
        if token.is_empty() {
            grant
                .found
                .skipped
                .push(format!("Page “{name}”: Facebook gave no access to it"));
            continue;
        }
        let (can_publish, publish_problem) = grant.publish("pages_manage_posts", &id, &page);
        grant.found.destinations.push(Destination {
            platform_account_id: id,
            kind: "page".to_owned(),
            display_name: name,
            username: classify::text(&page["username"]),
            avatar_url: classify::text(&page["picture"]["data"]["url"]),
            can_publish,
            publish_problem,
            derived_token: token,
            derived_expires_at_ms: grant.page_token_end_ms(),
        });
    }
    Ok(grant)
}

/// One page of posts, and the cursor of the next when there is one.
pub(crate) fn page_of(answer: &Value, post: fn(&Value) -> Post) -> PostPage {
    let posts = answer["data"]
        .as_array()
        .map(|posts| posts.iter().map(post).collect())
        .unwrap_or_default();
    let more = answer["paging"]["next"].is_string();
    (
        posts,
        if more {
            classify::text(&answer["paging"]["cursors"]["after"])
        } else {
            String::new()
        },
    )
}

fn post(post: &Value) -> Post {
    let text = if post["message"].is_string() {
        &post["message"]
    } else {
        &post["story"]
    };
    let comments = post["comments"]["data"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    Post {
        platform_post_id: classify::text(&post["id"]),
        text: classify::text(text),
        media: media(post),
        permalink: classify::text(&post["permalink_url"]),
        published_at_ms: discovery::time_ms(&post["created_time"]),
        reactions: post["likes"]["summary"]["total_count"].as_i64(),
        comments: post["comments"]["summary"]["total_count"].as_i64(),
        // Left out by Facebook when there are none.
        shares: Some(post["shares"]["count"].as_i64().unwrap_or(0)),
        comment_previews: comments
            .iter()
            .map(|comment| PostComment {
                author: classify::text(&comment["from"]["name"]),
                text: classify::text(&comment["message"]),
            })
            .collect(),
    }
}

fn media(post: &Value) -> Vec<Media> {
    let attachment = &post["attachments"]["data"][0];
    let parts = attachment["subattachments"]["data"]
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![attachment.clone()]);
    let of = |part: &Value| {
        let kind = if part["media_type"] == "video" {
            "video"
        } else {
            "image"
        };
        Media {
            kind: kind.to_owned(),
            url: classify::text(&part["media"]["image"]["src"]),
        }
    };
    let mut media: Vec<Media> = parts.iter().map(of).filter(|media| !media.url.is_empty()).collect();
    if media.is_empty() && post["full_picture"].is_string() {
        media.push(Media {
            kind: "image".to_owned(),
            url: classify::text(&post["full_picture"]),
        });
    }
    media
}

#[cfg(test)]
mod tests;

//! Instagram, both ways. Instagram Login: three hosts, a token of 60 days that renews itself from its second day on, one
//! account per sign-in. Through Facebook: the Facebook grant, one account per Page with a linked professional account,
//! used with the Page's token. Both give the same account id, so an account is recognised whichever way it came.

use proto::common::v1::ErrorClass::{self, Transient};
use proto::platforms::v1::{
    Answers, Credential, Destination, DiscoverResponse, Media, Post, PostComment, RawAnswer, Renewal,
};
use serde_json::Value;

mod through_facebook;

use super::facebook::page_of;
use crate::adapter::{Adapter, Draft, PostPage, Result, Target};
use crate::app::App;
use crate::classify;
use crate::ctx::Ctx;
use crate::discovery;
use crate::graph;
use crate::graph_errors::ERRORS;
use crate::http::Outgoing;
use crate::interpret::{self, Outcome};
use crate::oauth::{Ask, CodeGrant};
use crate::spec::{ClientAuth, DAY, HOUR, Need, Pkce, Platform, Scope, Spec};

pub(crate) const PLATFORM: Platform = Platform {
    id: "instagram",
    title: "Instagram",
    short_title: "Instagram",
    capabilities: &[
        "publish",
        "post_feed",
        "comment_previews",
        "engagement_stats",
        "content_sync",
        "comment_management",
        "direct_messages",
        "analytics",
    ],
    token_diagnostics: true,
    settings_hint: "Instagram > Settings > Website permissions > Apps and websites",
    connectors: &[&Login, &through_facebook::ThroughFacebook],
};

static LOGIN: Spec = Spec {
    id: "instagram",
    method: "instagram_login",
    scopes: &[
        Scope::new("instagram_business_basic", "see your profile and posts", Need::Required),
        Scope::new("instagram_business_content_publish", "publish content", Need::Publish),
        Scope::new(
            "instagram_business_manage_comments",
            "reply to comments",
            Need::Optional,
        ),
        Scope::new(
            "instagram_business_manage_messages",
            "read and answer messages",
            Need::Optional,
        ),
        Scope::new("instagram_business_manage_insights", "analytics", Need::Optional),
    ],
    separator: ",",
    client_id: "client_id",
    client_auth: ClientAuth::Body,
    pkce: Pkce::None,
    dialog_path: "/oauth/authorize",
    token_path: "/oauth/access_token",
    renewal: Renewal::InPlace,
    renewal_by_refresh_token: Renewal::InPlace,
    repeatable_refresh: true,
    min_refresh_age_ms: DAY,
    announced_refresh: true,
    shared_grant: false,
    revocable: false,
    publish_needs_image: true,
    daily_limits: false,
    versioned: true,
    first_lifetime_ms: HOUR,
    default_lifetime_ms: 60 * DAY,
    errors: ERRORS,
};

const ME_FIELDS: &str = "id,user_id,username,name,account_type,profile_picture_url";
const MEDIA_FIELDS: &str = "id,caption,media_type,media_product_type,media_url,thumbnail_url,permalink,timestamp,like_count,comments_count,\
    children{id,media_type,media_url,thumbnail_url}";
/// Needs a permission that a person may have declined.
const COMMENT_FIELDS: &str = "comments.limit(3){username,text}";
/// Scopes of the methods that stopped in December 2024 and January 2025: such a grant cannot publish.
const OLD_SCOPES: [&str; 4] = [
    "business_basic",
    "business_content_publish",
    "user_profile",
    "user_media",
];

/// Instagram Login.
pub(crate) struct Login;

#[tonic::async_trait]
impl Adapter for Login {
    fn spec(&self) -> &'static Spec {
        &LOGIN
    }

    fn dialog_extras(&self, ask: &Ask<'_>) -> Vec<(&'static str, String)> {
        if ask.rerequest {
            vec![("force_reauth", "true".to_owned())]
        } else {
            Vec::new()
        }
    }

    /// The code may still have the fragment on it that Instagram adds to its redirect.
    fn code_call(&self, app: &App, grant: &CodeGrant<'_>) -> Outgoing {
        let code = grant.code.trim_end_matches("#_");
        crate::oauth::code_call(&LOGIN, app, &CodeGrant { code, ..*grant })
    }

    fn next_call(&self, app: &App, answers: &[RawAnswer]) -> Option<Outgoing> {
        let token = graph::short_token(answers)?;
        let grant = ("grant_type", "ig_exchange_token".to_owned());
        let query = vec![
            grant,
            ("client_secret", app.secret().to_owned()),
            ("access_token", token),
        ];
        Some(Outgoing::get(
            "long_lived",
            format!("{}/access_token", app.api_base),
            query,
        ))
    }

    fn refresh_call(&self, app: &App, credential: &Credential) -> Option<Outgoing> {
        let query = vec![
            ("grant_type", "ig_refresh_token".to_owned()),
            ("access_token", credential.access_token.clone()),
        ];
        Some(Outgoing::get(
            "refresh",
            format!("{}/refresh_access_token", app.api_base),
            query,
        ))
    }

    /// A refusal of a token in its first day is "try later", whatever its code.
    fn interpret(&self, answers: &Answers, previous: Option<&Credential>) -> Outcome {
        let mut outcome = interpret::interpret(&LOGIN, answers, previous);
        let asked_at_ms = answers.answers.first().map_or(0, |answer| answer.sent_at_ms);
        let young = previous.is_some_and(|previous| asked_at_ms - previous.issued_at_ms < DAY + HOUR);
        if let Err(error) = &mut outcome.result
            && young
            && matches!(error.code.as_str(), "10" | "190" | "100")
        {
            error.class = Transient.into();
        }
        outcome
    }

    async fn discover(&self, ctx: &Ctx, credential: &Credential) -> Result<DiscoverResponse> {
        let query = vec![("fields", ME_FIELDS.to_owned())];
        let answer = graph::get(
            ctx,
            &credential.platform_user_id,
            &credential.access_token,
            "/me",
            query,
        )
        .await?;
        let me = if answer["data"].is_array() {
            &answer["data"][0]
        } else {
            &answer
        };
        let account_id = discovery::required_id(if me["user_id"].is_null() {
            &me["id"]
        } else {
            &me["user_id"]
        })?;
        let scoped_id = classify::text(&me["id"]);
        let person = [&scoped_id, &credential.platform_user_id, &account_id]
            .into_iter()
            .find(|id| !id.is_empty());
        let name = display_name(me);
        let mut found = discovery::granted(&ctx.app, credential, person.map_or("", String::as_str), &name);
        let (can_publish, publish_problem) = publish(&found, me["account_type"].as_str());
        found.destinations.push(Destination {
            platform_account_id: account_id,
            kind: "instagram".to_owned(),
            display_name: name,
            username: classify::text(&me["username"]),
            avatar_url: classify::text(&me["profile_picture_url"]),
            can_publish,
            publish_problem,
            ..Destination::default()
        });
        Ok(found)
    }

    async fn posts(&self, ctx: &Ctx, target: &Target, limit: u32, cursor: &str) -> Result<PostPage> {
        list_media(ctx, target, limit, cursor).await
    }

    async fn publish(&self, ctx: &Ctx, target: &Target, draft: &Draft) -> Result<Post> {
        publish_image(ctx, target, draft).await
    }
}

/// Old methods and personal accounts cannot publish at all; otherwise it is a matter of the permission.
fn publish(found: &DiscoverResponse, account_type: Option<&str>) -> (bool, String) {
    let old = found
        .granted_scopes
        .iter()
        .any(|scope| OLD_SCOPES.contains(&scope.as_str()));
    let personal = account_type.is_some_and(|kind| kind.eq_ignore_ascii_case("personal"));
    if old || personal {
        return (false, discovery::CAPABILITY_MISSING.to_owned());
    }
    discovery::publish_scopes(found, &["instagram_business_content_publish"])
}

fn display_name(account: &Value) -> String {
    let name = classify::text(&account["name"]);
    if name.is_empty() {
        classify::text(&account["username"])
    } else {
        name
    }
}

async fn list_media(ctx: &Ctx, target: &Target, limit: u32, cursor: &str) -> Result<PostPage> {
    let query = |fields: String| {
        let mut query = vec![("fields", fields), ("limit", limit.to_string())];
        query.extend((!cursor.is_empty()).then(|| ("after", cursor.to_owned())));
        query
    };
    let path = format!("/{}/media", target.id);
    let with_comments = query(format!("{MEDIA_FIELDS},{COMMENT_FIELDS}"));
    let answer = match graph::get(ctx, &target.id, &target.token, &path, with_comments).await {
        // Without the permission, or in a version that does not know the field.
        Err(error)
            if matches!(
                error.class(),
                ErrorClass::PermissionMissing | ErrorClass::InvalidRequest
            ) =>
        {
            graph::get(ctx, &target.id, &target.token, &path, query(MEDIA_FIELDS.to_owned())).await?
        }
        answer => answer?,
    };
    Ok(page_of(&answer, post))
}

/// A container for the image, then the container becomes a post; Instagram may need a moment to fetch the image.
async fn publish_image(ctx: &Ctx, target: &Target, draft: &Draft) -> Result<Post> {
    const TRIES: u32 = 6;
    let form = vec![("image_url", draft.image_url.clone()), ("caption", draft.text.clone())];
    let answer = graph::post(ctx, &target.id, &target.token, &format!("/{}/media", target.id), form).await?;
    let container = discovery::required_id(&answer["id"])?;
    for attempt in 1.. {
        let form = vec![("creation_id", container.clone())];
        match graph::post(
            ctx,
            &target.id,
            &target.token,
            &format!("/{}/media_publish", target.id),
            form,
        )
        .await
        {
            Err(error) if attempt < TRIES && error.code == "9007/2207027" => {
                tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            }
            Err(error) => return Err(error),
            Ok(answer) => return Ok(discovery::published(ctx, draft, discovery::required_id(&answer["id"])?)),
        }
    }
    Err(classify::error(
        ErrorClass::Transient,
        "container",
        "Instagram did not finish the image in time",
    ))
}

fn post(media: &Value) -> Post {
    let parts = media["children"]["data"]
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![media.clone()]);
    let of = |part: &Value| {
        let kind = if part["media_type"] == "VIDEO" {
            "video"
        } else {
            "image"
        };
        // Left out where somebody claims the copyright.
        let url = if part["media_url"].is_string() {
            &part["media_url"]
        } else {
            &part["thumbnail_url"]
        };
        Media {
            kind: kind.to_owned(),
            url: classify::text(url),
        }
    };
    Post {
        platform_post_id: classify::text(&media["id"]),
        text: classify::text(&media["caption"]),
        media: parts.iter().map(of).filter(|media| !media.url.is_empty()).collect(),
        permalink: classify::text(&media["permalink"]),
        published_at_ms: discovery::time_ms(&media["timestamp"]),
        reactions: media["like_count"].as_i64(),
        comments: media["comments_count"].as_i64(),
        shares: None,
        comment_previews: previews(&media["comments"]["data"]),
    }
}

fn previews(comments: &Value) -> Vec<PostComment> {
    let comments = comments.as_array().map(Vec::as_slice).unwrap_or_default();
    let preview = |comment: &Value| PostComment {
        author: classify::text(&comment["username"]),
        text: classify::text(&comment["text"]),
    };
    comments.iter().map(preview).collect()
}

#[cfg(test)]
mod tests;

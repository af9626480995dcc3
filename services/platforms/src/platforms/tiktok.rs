//! TikTok Login Kit and Content Posting. The client id is a `client_key`; errors of the token endpoint may come with
//! HTTP 200; lifetimes are what the reply says; every renewal replaces the refresh token. One grant is one account.
//! Without a reviewed app only private posts are allowed: the first privacy level that TikTok offers is used.

use proto::common::v1::ErrorClass::{
    AccountRestricted, AppMisconfigured, BadCode, InvalidRequest, PermissionMissing, RateLimited, Revoked, Transient,
    UserDenied,
};
use proto::platforms::v1::{Credential, Destination, DiscoverResponse, Post, Renewal};
use serde_json::{Value, json};

use crate::adapter::{Adapter, Draft, Result, Target};
use crate::classify::{self, On, Row};
use crate::ctx::Ctx;
use crate::discovery;
use crate::http::Outgoing;
use crate::oauth::Ask;
use crate::spec::{ClientAuth, DAY, Need, Pkce, Platform, Scope, Spec};

pub(crate) const PLATFORM: Platform = Platform {
    id: "tiktok",
    title: "TikTok",
    short_title: "TikTok",
    capabilities: &["publish", "analytics"],
    token_diagnostics: false,
    settings_hint: "Settings and privacy > Security & permissions > Apps and services permissions",
    connectors: &[&TikTok],
};

static SPEC: Spec = Spec {
    id: "tiktok",
    method: "oauth",
    scopes: &[
        Scope::new("user.info.basic", "see your profile", Need::Required),
        Scope::new("video.publish", "publish videos and photos", Need::Publish),
        Scope::new("video.upload", "upload drafts", Need::Optional),
        Scope::new("video.list", "read your videos", Need::Optional),
        Scope::new("user.info.profile", "see your user name", Need::Optional),
        Scope::new("user.info.stats", "analytics", Need::Optional),
    ],
    separator: ",",
    client_id: "client_key",
    client_auth: ClientAuth::Body,
    pkce: Pkce::HexIfConfigured,
    dialog_path: "/v2/auth/authorize/",
    token_path: "/v2/oauth/token/",
    renewal: Renewal::ReconnectOnly,
    renewal_by_refresh_token: Renewal::Rotating,
    repeatable_refresh: false,
    min_refresh_age_ms: 0,
    announced_refresh: false,
    shared_grant: false,
    revocable: true,
    publish_needs_image: true,
    daily_limits: false,
    versioned: false,
    first_lifetime_ms: DAY,
    default_lifetime_ms: DAY,
    errors: ERRORS,
};

const ERRORS: &[Row] = &[
    Row::text("invalid_grant", BadCode).on(On::Code),
    Row::text("invalid_grant", Revoked),
    Row::text("invalid_request", BadCode)
        .on(On::Code)
        .saying("code verifier or code challenge"),
    Row::text("invalid_request", Revoked)
        .on(On::Refresh)
        .saying("refresh token is invalid"),
    Row::text("invalid_request", InvalidRequest),
    Row::text("invalid_client", AppMisconfigured),
    Row::text("unauthorized_client", AppMisconfigured),
    Row::text("invalid_scope", AppMisconfigured),
    Row::text("unsupported_grant_type", AppMisconfigured),
    Row::text("unsupported_response_type", AppMisconfigured),
    Row::text("access_denied", Revoked).on(On::Refresh),
    Row::text("access_denied", UserDenied),
    Row::text("server_error", Transient),
    Row::text("temporarily_unavailable", Transient),
    Row::text("access_token_invalid", Revoked),
    Row::text("scope_not_authorized", PermissionMissing),
    Row::text("scope_permission_missed", PermissionMissing),
    Row::text("rate_limit_exceeded", RateLimited),
    Row::text("invalid_params", InvalidRequest),
    Row::text("invalid_file_upload", InvalidRequest),
    Row::text("internal_error", Transient),
    Row::text("spam_risk_too_many_posts", RateLimited),
    Row::text("spam_risk_too_many_pending_share", RateLimited),
    Row::text("spam_risk_user_banned_from_posting", AccountRestricted),
    Row::text("reached_active_user_cap", RateLimited),
    Row::text("unaudited_client_can_only_post_to_private_accounts", AppMisconfigured),
    Row::text("url_ownership_unverified", InvalidRequest),
    Row::text("privacy_level_option_mismatch", InvalidRequest),
];

/// The adapter.
pub(crate) struct TikTok;

/// Fields of the user that the granted scopes allow; one too many fails the whole call.
fn fields(scopes: &[String]) -> String {
    let mut fields = vec!["open_id", "union_id", "avatar_url", "display_name"];
    if scopes.iter().any(|scope| scope == "user.info.profile") {
        fields.push("username");
    }
    fields.join(",")
}

/// Public where TikTok offers it, else the first level that it offers.
fn privacy(creator: &Value) -> Result<&str> {
    let options = creator["data"]["privacy_level_options"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let options: Vec<&str> = options.iter().filter_map(Value::as_str).collect();
    let public = options.iter().find(|option| **option == "PUBLIC_TO_EVERYONE");
    let none = || {
        classify::error(
            InvalidRequest,
            "privacy_level_options",
            "TikTok offers no privacy level for this account",
        )
    };
    public.or(options.first()).copied().ok_or_else(none)
}

#[tonic::async_trait]
impl Adapter for TikTok {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn dialog_extras(&self, ask: &Ask<'_>) -> Vec<(&'static str, String)> {
        if ask.rerequest {
            vec![("disable_auto_auth", "1".to_owned())]
        } else {
            Vec::new()
        }
    }

    async fn discover(&self, ctx: &Ctx, credential: &Credential) -> Result<DiscoverResponse> {
        let query = vec![("fields", fields(&credential.scopes))];
        let user = ctx
            .get(&credential.access_token, ctx.api("/v2/user/info/"), query)
            .await?;
        let user = &user["data"]["user"];
        let id = discovery::required_id(&user["open_id"])?;
        let mut found = discovery::granted(&ctx.app, credential, &id, &classify::text(&user["display_name"]));
        let (can_publish, publish_problem) = discovery::publish_scopes(&found, &["video.publish"]);
        found.destinations.push(Destination {
            platform_account_id: id,
            kind: "tiktok".to_owned(),
            display_name: classify::text(&user["display_name"]),
            username: classify::text(&user["username"]),
            avatar_url: classify::text(&user["avatar_url"]),
            can_publish,
            publish_problem,
            ..Destination::default()
        });
        Ok(found)
    }

    async fn inspect(&self, ctx: &Ctx, credential: &Credential, _known: &[Destination]) -> Result<DiscoverResponse> {
        discovery::not_expired(ctx, credential)?;
        self.discover(ctx, credential).await
    }

    async fn revoke(&self, ctx: &Ctx, credential: &Credential, _platform_user_id: &str) -> Result<()> {
        let form = vec![
            ("client_key", ctx.app.client_id.clone()),
            ("client_secret", ctx.app.secret().to_owned()),
            ("token", credential.access_token.clone()),
        ];
        let url = format!("{}/v2/oauth/revoke/", ctx.app.token_base);
        discovery::done_if_dead(ctx.call("", Outgoing::form("revoke", url, form)).await)
    }

    /// A photo post that TikTok fetches by itself.
    async fn publish(&self, ctx: &Ctx, target: &Target, draft: &Draft) -> Result<Post> {
        let ask = Outgoing::json(ctx.api("/v2/post/publish/creator_info/query/"), json!({})).bearer(&target.token);
        let creator = ctx.call(&target.id, ask).await?.json;
        let title: String = draft.text.chars().take(90).collect();
        let post = json!({
            "post_info": { "title": title, "description": draft.text, "privacy_level": privacy(&creator)?, "disable_comment": false, "auto_add_music": true },
            "source_info": { "source": "PULL_FROM_URL", "photo_cover_index": 0, "photo_images": [draft.image_url] },
            "post_mode": "DIRECT_POST",
            "media_type": "PHOTO",
        });
        let outgoing = Outgoing::json(ctx.api("/v2/post/publish/content/init/"), post).bearer(&target.token);
        let reply = ctx.call(&target.id, outgoing).await?;
        let id = discovery::required_id(&reply.json["data"]["publish_id"])?;
        Ok(discovery::published(ctx, draft, id))
    }
}

#[cfg(test)]
mod tests;

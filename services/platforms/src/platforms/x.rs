//! X with OAuth 2.0. Proof key and Basic header are obligatory; a code lives 30 seconds; the access token lives two
//! hours and every renewal replaces the single-use refresh token, so the hub renews lazily. One grant is one account.

use proto::common::v1::ErrorClass::{
    AccountRestricted, AppMisconfigured, BadCode, InvalidRequest, NotFound, PermissionMissing, RateLimited, Revoked,
    Transient, UserDenied,
};
use proto::platforms::v1::{Answers, Credential, Destination, DiscoverResponse, Post, Renewal};
use serde_json::json;

use crate::adapter::{Adapter, Draft, Result, Target};
use crate::classify::{self, On, Row};
use crate::ctx::Ctx;
use crate::discovery;
use crate::http::Outgoing;
use crate::interpret::{self, Outcome};
use crate::oauth;
use crate::spec::{ClientAuth, HOUR, Need, Pkce, Platform, Scope, Spec};

pub(crate) const PLATFORM: Platform = Platform {
    id: "x",
    title: "X (Twitter)",
    short_title: "X",
    capabilities: &["publish", "analytics"],
    token_diagnostics: false,
    settings_hint: "Settings > Security and account access > Apps and sessions > Connected apps",
    connectors: &[&X],
};

static SPEC: Spec = Spec {
    id: "x",
    method: "oauth",
    scopes: &[
        Scope::new("users.read", "see your profile", Need::Required),
        Scope::new("tweet.read", "read posts", Need::Required),
        Scope::new("tweet.write", "publish posts", Need::Publish),
        Scope::new("offline.access", "stay connected", Need::Required),
        Scope::new("media.write", "publish images and videos", Need::Optional),
        Scope::new("users.email", "see your e-mail address", Need::Optional),
    ],
    separator: " ",
    client_id: "client_id",
    client_auth: ClientAuth::Basic,
    pkce: Pkce::Base64Url,
    dialog_path: "/i/oauth2/authorize",
    token_path: "/2/oauth2/token",
    renewal: Renewal::ReconnectOnly,
    renewal_by_refresh_token: Renewal::Rotating,
    repeatable_refresh: false,
    min_refresh_age_ms: 0,
    announced_refresh: false,
    shared_grant: false,
    revocable: true,
    publish_needs_image: false,
    daily_limits: false,
    versioned: false,
    first_lifetime_ms: 2 * HOUR,
    default_lifetime_ms: 2 * HOUR,
    errors: ERRORS,
};

const ERRORS: &[Row] = &[
    Row::text("invalid_request", BadCode).saying("authorization code"),
    Row::text("invalid_request", BadCode).saying("code verifier did not match"),
    Row::text("invalid_request", Revoked).saying("token was invalid"),
    Row::text("invalid_request", InvalidRequest),
    Row::text("invalid_grant", BadCode).on(On::Code),
    Row::text("invalid_grant", Revoked),
    Row::text("unauthorized_client", AppMisconfigured),
    Row::text("invalid_client", AppMisconfigured),
    Row::text("access_denied", UserDenied),
    Row::text("client-not-enrolled", AppMisconfigured),
    Row::text("client-forbidden", AppMisconfigured),
    Row::text("unsupported-authentication", InvalidRequest),
    Row::text("not-authorized-for-resource", PermissionMissing),
    Row::text("user-suspended", AccountRestricted),
    Row::text("resource-not-found", NotFound),
    Row::text("usage-capped", RateLimited),
    Row::text("CreditsDepleted", RateLimited),
    Row::number(88, RateLimited),
    Row::number(89, Revoked),
    Row::status(402, RateLimited),
    Row::status(429, RateLimited),
    Row::text("Unauthorized", Revoked).on(On::Api),
    Row::status(401, Revoked).on(On::Api),
    // "You are not permitted to perform this action" is said of a duplicate as well as of a missing permission.
    Row::text("Forbidden", InvalidRequest).saying("duplicate"),
    Row::text("Forbidden", PermissionMissing),
    Row::status(404, NotFound).on(On::Api),
    Row::status(400, InvalidRequest).on(On::Api),
    Row::status(500, Transient),
    Row::status(503, Transient),
];

/// The adapter.
pub(crate) struct X;

#[tonic::async_trait]
impl Adapter for X {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    /// Without `offline.access` there is no refresh token and the connection would die within two hours: it is refused.
    fn interpret(&self, answers: &Answers, previous: Option<&Credential>) -> Outcome {
        let outcome = interpret::interpret(&SPEC, answers, previous);
        match &outcome.result {
            Ok(credential) if credential.refresh_token.is_empty() => {
                let message = "X gave no refresh token: the permission to stay connected is missing";
                Outcome::refused(classify::error(PermissionMissing, "offline.access", message))
            }
            _ => outcome,
        }
    }

    async fn discover(&self, ctx: &Ctx, credential: &Credential) -> Result<DiscoverResponse> {
        let fields = vec![("user.fields", "id,name,username,profile_image_url".to_owned())];
        let user = ctx
            .get(&credential.access_token, ctx.api("/2/users/me"), fields)
            .await?;
        let user = &user["data"];
        let id = discovery::required_id(&user["id"])?;
        let mut found = discovery::granted(&ctx.app, credential, &id, &classify::text(&user["name"]));
        let (can_publish, publish_problem) =
            discovery::publish_scopes(&found, &["tweet.write", "users.read", "tweet.read"]);
        found.destinations.push(Destination {
            platform_account_id: id,
            kind: "x_user".to_owned(),
            display_name: classify::text(&user["name"]),
            username: classify::text(&user["username"]),
            avatar_url: classify::text(&user["profile_image_url"]),
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

    /// Both tokens; one that is dead already is done.
    async fn revoke(&self, ctx: &Ctx, credential: &Credential, _platform_user_id: &str) -> Result<()> {
        for (token, hint) in [
            (&credential.refresh_token, "refresh_token"),
            (&credential.access_token, "access_token"),
        ] {
            if token.is_empty() {
                continue;
            }
            let form = vec![
                ("token", token.clone()),
                ("token_type_hint", hint.to_owned()),
                ("client_id", ctx.app.client_id.clone()),
            ];
            let url = format!("{}/2/oauth2/revoke", ctx.app.token_base);
            let basic = oauth::basic(&ctx.app.client_id, ctx.app.secret());
            discovery::done_if_dead(
                ctx.call("", Outgoing::form("revoke", url, form).header("authorization", basic))
                    .await,
            )?;
        }
        Ok(())
    }

    async fn publish(&self, ctx: &Ctx, target: &Target, draft: &Draft) -> Result<Post> {
        if !draft.image_url.is_empty() {
            return Err(classify::error(
                InvalidRequest,
                "image",
                "posts to X carry text only here",
            ));
        }
        let outgoing = Outgoing::json(ctx.api("/2/tweets"), json!({ "text": draft.text })).bearer(&target.token);
        let reply = ctx.call(&target.id, outgoing).await?;
        let id = discovery::required_id(&reply.json["data"]["id"])?;
        Ok(Post {
            permalink: format!("https://x.com/i/status/{id}"),
            ..discovery::published(ctx, draft, id)
        })
    }
}

#[cfg(test)]
mod tests;

//! Instagram through Facebook Login: the Facebook grant, one account per Page with a linked professional account, used with
//! the Page's token. Pages without such an account are skipped, with the reason.

use proto::platforms::v1::{Credential, Destination, DiscoverResponse, Post, RawAnswer, Renewal};

use super::{display_name, list_media, publish_image};
use crate::adapter::{Adapter, Draft, PostPage, Result, Target};
use crate::app::App;
use crate::classify;
use crate::ctx::Ctx;
use crate::discovery;
use crate::graph;
use crate::graph_errors::ERRORS;
use crate::http::Outgoing;
use crate::oauth::Ask;
use crate::platforms::facebook::rerequest;
use crate::spec::{ClientAuth, DAY, HOUR, Need, Pkce, Scope, Spec};

static THROUGH_FACEBOOK: Spec = Spec {
    id: "instagram_facebook",
    method: "facebook_login",
    scopes: &[
        Scope::new("instagram_basic", "see your profile and posts", Need::Required),
        Scope::new("pages_show_list", "see your Pages", Need::Required),
        Scope::new("instagram_content_publish", "publish content", Need::Publish),
        Scope::new(
            "pages_read_engagement",
            "read the Page that the account is linked to",
            Need::Optional,
        ),
        Scope::new("instagram_manage_comments", "reply to comments", Need::Optional),
        Scope::new("instagram_manage_insights", "analytics", Need::Optional),
        Scope::new("business_management", "see business assets", Need::Optional),
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
    publish_needs_image: true,
    daily_limits: false,
    versioned: true,
    first_lifetime_ms: HOUR,
    default_lifetime_ms: 60 * DAY,
    errors: ERRORS,
};

const PAGE_FIELDS: &str = "id,name,access_token,tasks,instagram_business_account{id,username,name,profile_picture_url}";

/// The adapter.
pub(crate) struct ThroughFacebook;

#[tonic::async_trait]
impl Adapter for ThroughFacebook {
    fn spec(&self) -> &'static Spec {
        &THROUGH_FACEBOOK
    }

    fn shares_app_with(&self) -> Option<&'static str> {
        Some("facebook")
    }

    fn dialog_extras(&self, _ask: &Ask<'_>) -> Vec<(&'static str, String)> {
        rerequest()
    }

    fn next_call(&self, app: &App, answers: &[RawAnswer]) -> Option<Outgoing> {
        graph::short_token(answers).map(|token| graph::exchange_call(&THROUGH_FACEBOOK, app, "long_lived", &token))
    }

    fn refresh_call(&self, app: &App, credential: &Credential) -> Option<Outgoing> {
        Some(graph::exchange_call(
            &THROUGH_FACEBOOK,
            app,
            "refresh",
            &credential.access_token,
        ))
    }

    async fn discover(&self, ctx: &Ctx, credential: &Credential) -> Result<DiscoverResponse> {
        let mut grant = graph::grant(ctx, credential).await?;
        if !grant.has("instagram_basic") {
            grant
                .found
                .skipped
                .push("Instagram accounts: the permission to see them is missing".to_owned());
            return Ok(grant.found);
        }
        for page in grant.pages(ctx, credential, PAGE_FIELDS).await? {
            let (account, name) = (&page["instagram_business_account"], classify::text(&page["name"]));
            let (id, token) = (classify::text(&account["id"]), classify::text(&page["access_token"]));
            if id.is_empty() || token.is_empty() {
                grant
                    .found
                    .skipped
                    .push(format!("Page “{name}” has no linked Instagram professional account"));
                continue;
            }
            let (can_publish, publish_problem) = grant.publish("instagram_content_publish", &id, &page);
            grant.found.destinations.push(Destination {
                platform_account_id: id,
                kind: "instagram".to_owned(),
                display_name: display_name(account),
                username: classify::text(&account["username"]),
                avatar_url: classify::text(&account["profile_picture_url"]),
                can_publish,
                publish_problem,
                derived_token: token,
                derived_expires_at_ms: grant.page_token_end_ms(),
            });
        }
        Ok(grant.found)
    }

    async fn inspect(&self, ctx: &Ctx, credential: &Credential, known: &[Destination]) -> Result<DiscoverResponse> {
        let mut found = self.discover(ctx, credential).await?;
        let readable = ["instagram_basic", "pages_show_list"]
            .iter()
            .all(|scope| found.granted_scopes.iter().any(|granted| granted == scope));
        let problem = if readable {
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
        list_media(ctx, target, limit, cursor).await
    }

    async fn publish(&self, ctx: &Ctx, target: &Target, draft: &Draft) -> Result<Post> {
        publish_image(ctx, target, draft).await
    }
}

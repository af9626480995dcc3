//! TikTok Login Kit and Content Posting. The client id is a `client_key`; errors of the token endpoint may come with
//! HTTP 200; lifetimes are what the reply says; every renewal replaces the refresh token. One grant is one account.
//! Without a reviewed app only private posts are allowed: the first privacy level that TikTok offers is used.

use proto::common::v1::ErrorClass::{
    AccountRestricted, AppMisconfigured, BadCode, InvalidRequest, PermissionMissing, RateLimited, Revoked, Transient, UserDenied,
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
    first_lifetime_ms: DAY,
    default_lifetime_ms: DAY,
    errors: ERRORS,
};

const ERRORS: &[Row] = &[
    Row::text("invalid_grant", BadCode).on(On::Code),
    Row::text("invalid_grant", Revoked),
    Row::text("invalid_request", BadCode).on(On::Code).saying("code verifier or code challenge"),
    Row::text("invalid_request", Revoked).on(On::Refresh).saying("refresh token is invalid"),
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
    let options = creator["data"]["privacy_level_options"].as_array().map(Vec::as_slice).unwrap_or_default();
    let options: Vec<&str> = options.iter().filter_map(Value::as_str).collect();
    let public = options.iter().find(|option| **option == "PUBLIC_TO_EVERYONE");
    let none = || classify::error(InvalidRequest, "privacy_level_options", "TikTok offers no privacy level for this account");
    public.or(options.first()).copied().ok_or_else(none)
}

#[tonic::async_trait]
impl Adapter for TikTok {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn dialog_extras(&self, ask: &Ask<'_>) -> Vec<(&'static str, String)> {
        if ask.rerequest { vec![("disable_auto_auth", "1".to_owned())] } else { Vec::new() }
    }

    async fn discover(&self, ctx: &Ctx, credential: &Credential) -> Result<DiscoverResponse> {
        let query = vec![("fields", fields(&credential.scopes))];
        let user = ctx.get(&credential.access_token, ctx.api("/v2/user/info/"), query).await?;
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
mod tests {
    use proto::platforms::v1::{Answers, Delivery, RawAnswer};

    use super::*;
    use crate::app::ProofKey;
    use crate::app::tests::app;
    use crate::classify::class_of;
    use crate::http::Body;
    use crate::oauth::{self, CodeGrant};

    fn answers(status: u32, body: &str) -> Answers {
        let answer = RawAnswer { step: "refresh".into(), status, body: body.into(), sent_at_ms: 1_790_000_000_000, ..RawAnswer::default() };
        Answers { answers: vec![answer], delivery: Delivery::Answered.into(), ..Answers::default() }
    }

    #[test]
    fn the_consent_address_has_a_client_key_commas_and_a_challenge_only_when_configured() {
        let mut app = app("tiktok", &["user.info.basic", "video.publish"]);
        let ask = Ask { state: "s", redirect_uri: "r", verifier: "", rerequest: true };
        let url = oauth::authorize(&SPEC, &app, &ask, &TikTok.dialog_extras(&ask));
        assert!(url.starts_with("https://dialog.test/v2/auth/authorize/?response_type=code&client_key=sbx-client-id&"), "{url}");
        assert!(url.contains("scope=user.info.basic%2Cvideo.publish") && url.ends_with("disable_auto_auth=1"), "{url}");
        assert!(!oauth::uses_verifier(&SPEC, &app));
        app.proof_key = ProofKey::Hex;
        assert!(oauth::uses_verifier(&SPEC, &app));
    }

    #[test]
    fn the_code_goes_in_a_form_with_the_secret() {
        let call = TikTok.code_call(&app("tiktok", &["a"]), &CodeGrant { code: "SBXTT*1!5", redirect_uri: "r", verifier: "" });
        assert_eq!(call.url, "https://token.test/v2/oauth/token/");
        let Body::Form(form) = call.body else { panic!("not a form") };
        let names: Vec<&str> = form.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["code", "redirect_uri", "grant_type", "client_key", "client_secret"]);
    }

    #[test]
    fn h22_lifetimes_are_those_of_the_reply() {
        let body = |access: i64, refresh: i64| {
            json!({"access_token":"act.sbx1","expires_in":access,"open_id":"sbx-open-id-0001","refresh_expires_in":refresh,
                "refresh_token":"rft.sbx1","scope":"user.info.basic,video.list","token_type":"Bearer","error":""}).to_string()
        };
        for (access, refresh) in [(86_400, 31_536_000), (7200, 15_552_000)] {
            let credential = TikTok.interpret(&answers(200, &body(access, refresh)), None).result.ok().unwrap();
            assert_eq!(credential.access_expires_at_ms, 1_790_000_000_000 + access * 1000);
            assert_eq!(credential.refresh_expires_at_ms, 1_790_000_000_000 + refresh * 1000);
            assert_eq!(credential.platform_user_id, "sbx-open-id-0001");
            assert_eq!(credential.scopes, ["user.info.basic", "video.list"]);
        }
    }

    #[test]
    fn an_error_under_200_is_an_error() {
        let body = r#"{"error":"invalid_grant","error_description":"Refresh token is expired.","log_id":"2026112200SBX"}"#;
        for status in [200, 400] {
            let previous = Credential { refresh_token: "rft.sbx1".into(), ..Credential::default() };
            let outcome = TikTok.interpret(&answers(status, body), Some(&previous));
            assert_eq!(outcome.result.err().unwrap().class(), Revoked);
        }
        assert_eq!(class_of(ERRORS, On::Code, 200, body), BadCode);
    }

    #[test]
    fn every_row_of_the_api_is_known() {
        for (status, code, class) in [
            (401, "access_token_invalid", Revoked),
            (401, "scope_not_authorized", PermissionMissing),
            (400, "scope_permission_missed", PermissionMissing),
            (429, "rate_limit_exceeded", RateLimited),
            (400, "invalid_params", InvalidRequest),
            (400, "invalid_file_upload", InvalidRequest),
            (500, "internal_error", Transient),
            (403, "spam_risk_too_many_posts", RateLimited),
            (403, "spam_risk_too_many_pending_share", RateLimited),
            (403, "spam_risk_user_banned_from_posting", AccountRestricted),
            (403, "reached_active_user_cap", RateLimited),
            (403, "unaudited_client_can_only_post_to_private_accounts", AppMisconfigured),
            (403, "url_ownership_unverified", InvalidRequest),
            (403, "privacy_level_option_mismatch", InvalidRequest),
            (400, "something_new", Transient),
        ] {
            let body = json!({ "data": {}, "error": { "code": code, "message": "m", "log_id": "l" } }).to_string();
            assert_eq!(class_of(ERRORS, On::Api, status, &body), class, "{code}");
        }
    }

    #[test]
    fn only_fields_of_granted_scopes_are_asked_for() {
        assert!(!fields(&["user.info.basic".to_owned()]).contains("username"));
        assert!(fields(&["user.info.profile".to_owned()]).contains("username"));
    }

    #[test]
    fn a_post_is_public_where_allowed_and_else_as_private_as_offered() {
        let creator = |options: Value| json!({ "data": { "privacy_level_options": options } });
        assert_eq!(privacy(&creator(json!(["SELF_ONLY", "PUBLIC_TO_EVERYONE"]))).ok(), Some("PUBLIC_TO_EVERYONE"));
        assert_eq!(privacy(&creator(json!(["SELF_ONLY"]))).ok(), Some("SELF_ONLY"));
        assert!(privacy(&creator(json!([]))).is_err());
    }
}

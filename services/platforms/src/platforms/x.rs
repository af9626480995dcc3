//! X with OAuth 2.0. Proof key and Basic header are obligatory; a code lives 30 seconds; the access token lives two
//! hours and every renewal replaces the single-use refresh token, so the hub renews lazily. One grant is one account.

use proto::common::v1::ErrorClass::{
    AccountRestricted, AppMisconfigured, BadCode, InvalidRequest, NotFound, PermissionMissing, RateLimited, Revoked, Transient, UserDenied,
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
    Row::status(404, NotFound),
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
        let user = ctx.get(&credential.access_token, ctx.api("/2/users/me"), fields).await?;
        let user = &user["data"];
        let id = discovery::required_id(&user["id"])?;
        let mut found = discovery::granted(&ctx.app, credential, &id, &classify::text(&user["name"]));
        let (can_publish, publish_problem) = discovery::publish_scopes(&found, &["tweet.write", "users.read", "tweet.read"]);
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
        for (token, hint) in [(&credential.refresh_token, "refresh_token"), (&credential.access_token, "access_token")] {
            if token.is_empty() {
                continue;
            }
            let form = vec![("token", token.clone()), ("token_type_hint", hint.to_owned()), ("client_id", ctx.app.client_id.clone())];
            let url = format!("{}/2/oauth2/revoke", ctx.app.token_base);
            let basic = oauth::basic(&ctx.app.client_id, ctx.app.secret());
            discovery::done_if_dead(ctx.call("", Outgoing::form("revoke", url, form).header("authorization", basic)).await)?;
        }
        Ok(())
    }

    async fn publish(&self, ctx: &Ctx, target: &Target, draft: &Draft) -> Result<Post> {
        if !draft.image_url.is_empty() {
            return Err(classify::error(InvalidRequest, "image", "posts to X carry text only here"));
        }
        let outgoing = Outgoing::json(ctx.api("/2/tweets"), json!({ "text": draft.text })).bearer(&target.token);
        let reply = ctx.call(&target.id, outgoing).await?;
        let id = discovery::required_id(&reply.json["data"]["id"])?;
        Ok(Post { permalink: format!("https://x.com/i/status/{id}"), ..discovery::published(ctx, draft, id) })
    }
}

#[cfg(test)]
mod tests {
    use proto::common::v1::ErrorClass::{self, NotFound, RateLimited};
    use proto::platforms::v1::{Delivery, RawAnswer};

    use super::*;
    use crate::app::tests::app;
    use crate::classify::class_of;
    use crate::http::Body;
    use crate::oauth::{Ask, CodeGrant};

    const REPLY: &str = r#"{"token_type":"bearer","expires_in":7200,"access_token":"SBXXaccess1",
        "scope":"users.read tweet.read tweet.write offline.access","refresh_token":"SBXXrefresh1"}"#;

    pub(super) fn answers(step: &str, status: u32, body: &str) -> Answers {
        let answer = RawAnswer { step: step.into(), status, body: body.into(), sent_at_ms: 1_790_000_000_000, ..RawAnswer::default() };
        Answers { answers: vec![answer], delivery: Delivery::Answered.into(), ..Answers::default() }
    }

    #[test]
    fn the_consent_address_has_spaces_and_a_base64url_challenge() {
        let app = app("x", &["users.read", "offline.access"]);
        let ask = Ask { state: "s1", redirect_uri: "http://127.0.0.1:8080/oauth/x/callback", verifier: "v", rerequest: false };
        let url = oauth::authorize(&SPEC, &app, &ask, &X.dialog_extras(&ask));
        assert_eq!(
            url,
            "https://dialog.test/i/oauth2/authorize?response_type=code&client_id=sbx-client-id&redirect_uri=http%3A%2F%2F127.0.0.1%3A8080%2Foauth%2Fx%2Fcallback\
             &state=s1&scope=users.read%20offline.access&code_challenge=TJQI-2_lI7LF9IzRpyR17l3iXYQXSSbT7ktP4I8ZA7w&code_challenge_method=S256"
                .replace("TJQI-2_lI7LF9IzRpyR17l3iXYQXSSbT7ktP4I8ZA7w", &oauth::challenge(Pkce::Base64Url, "v"))
        );
    }

    #[test]
    fn the_code_goes_with_verifier_and_client_id_and_the_secret_in_the_header_alone() {
        let app = app("x", &["users.read"]);
        let grant = CodeGrant { code: "SBXX1", redirect_uri: "r", verifier: "v" };
        let call = X.code_call(&app, &grant);
        assert_eq!(call.url, "https://token.test/2/oauth2/token");
        assert_eq!(call.headers, [("authorization", "Basic c2J4LWNsaWVudC1pZDpzYngtY2xpZW50LXNlY3JldA==".to_owned())]);
        let Body::Form(form) = call.body else { panic!("not a form") };
        let names: Vec<&str> = form.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["code", "redirect_uri", "grant_type", "code_verifier", "client_id"]);
    }

    #[test]
    fn a_reply_becomes_a_rotating_credential() {
        let credential = X.interpret(&answers("code", 200, REPLY), None).result.ok().unwrap();
        assert_eq!(credential.access_token, "SBXXaccess1");
        assert_eq!(credential.refresh_token, "SBXXrefresh1");
        assert_eq!(credential.access_expires_at_ms, 1_790_007_200_000);
        assert_eq!(credential.renewal(), Renewal::Rotating);
        assert_eq!(credential.scopes.len(), 4);
    }

    #[test]
    fn h12_missing_refresh_token_keeps_the_old_one() {
        let previous = X.interpret(&answers("code", 200, REPLY), None).result.ok().unwrap();
        for body in [r#"{"access_token":"SBXXa2"}"#, r#"{"access_token":"SBXXa2","refresh_token":""}"#] {
            let renewed = X.interpret(&answers("refresh", 200, body), Some(&previous)).result.ok().unwrap();
            assert_eq!(renewed.refresh_token, "SBXXrefresh1");
            assert_eq!(renewed.scopes, previous.scopes);
        }
    }

    #[test]
    fn a_grant_without_offline_access_is_refused() {
        let error = X.interpret(&answers("code", 200, r#"{"access_token":"SBXXa"}"#), None).result.err().unwrap();
        assert_eq!(error.class(), PermissionMissing);
    }

    #[test]
    fn every_row_of_the_token_endpoint_is_known() {
        for (status, on, error, description, class) in [
            (400, On::Code, "invalid_request", "Value passed for the authorization code was invalid.", BadCode),
            (400, On::Code, "invalid_request", "Value passed for the code verifier did not match the code challenge.", BadCode),
            (400, On::Refresh, "invalid_request", "Value passed for the token was invalid.", Revoked),
            (400, On::Code, "invalid_request", "Missing required parameter [code_verifier].", InvalidRequest),
            (401, On::Refresh, "unauthorized_client", "Missing valid authorization header", AppMisconfigured),
            (401, On::Refresh, "invalid_client", "", AppMisconfigured),
            (400, On::Refresh, "invalid_grant", "", Revoked),
            (400, On::Code, "invalid_grant", "", BadCode),
        ] {
            let body = json!({ "error": error, "error_description": description }).to_string();
            assert_eq!(class_of(ERRORS, on, status, &body), class, "{error} {description}");
        }
    }

    #[test]
    fn every_row_of_the_api_is_known() {
        let problem = |kind: &str| format!(r#"{{"title":"t","type":"https://api.x.com/2/problems/{kind}"}}"#);
        let titled = |title: &str| format!(r#"{{"title":"{title}","type":"about:blank"}}"#);
        for (status, body, class) in [
            (401, titled("Unauthorized"), Revoked),
            (403, titled("Forbidden"), PermissionMissing),
            (403, r#"{"title":"Forbidden","type":"about:blank","detail":"duplicate content"}"#.to_owned(), InvalidRequest),
            (403, r#"{"title":"t","type":"https://api.x.com/2/problems/client-forbidden","reason":"client-not-enrolled"}"#.to_owned(), AppMisconfigured),
            (403, problem("unsupported-authentication"), InvalidRequest),
            (403, problem("not-authorized-for-resource"), PermissionMissing),
            (403, problem("user-suspended"), AccountRestricted),
            (402, titled("CreditsDepleted"), RateLimited),
            (429, titled("Too Many Requests"), RateLimited),
            (429, r#"{"errors":[{"code":88,"message":"Rate limit exceeded"}]}"#.to_owned(), RateLimited),
            (429, problem("usage-capped"), RateLimited),
            (404, r#"{"errors":[{"type":"https://api.twitter.com/2/problems/resource-not-found"}]}"#.to_owned(), NotFound),
            (503, titled("Service Unavailable"), ErrorClass::Transient),
        ] {
            assert_eq!(class_of(ERRORS, On::Api, status, &body), class, "{body}");
        }
    }
}

//! Instagram, both ways. Instagram Login: three hosts, a token of 60 days that renews itself from its second day on, one
//! account per sign-in. Through Facebook: the Facebook grant, one account per Page with a linked professional account,
//! used with the Page's token. Both give the same account id, so an account is recognised whichever way it came.

use proto::common::v1::ErrorClass::{self, Transient};
use proto::platforms::v1::{Answers, Credential, Destination, DiscoverResponse, Media, Post, RawAnswer, Renewal};
use serde_json::Value;

use super::facebook::{page_of, rerequest};
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
    connectors: &[&Login, &ThroughFacebook],
};

static LOGIN: Spec = Spec {
    id: "instagram",
    method: "instagram_login",
    scopes: &[
        Scope::new("instagram_business_basic", "see your profile and posts", Need::Required),
        Scope::new("instagram_business_content_publish", "publish content", Need::Publish),
        Scope::new("instagram_business_manage_comments", "reply to comments", Need::Optional),
        Scope::new("instagram_business_manage_messages", "read and answer messages", Need::Optional),
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
    first_lifetime_ms: HOUR,
    default_lifetime_ms: 60 * DAY,
    errors: ERRORS,
};

static THROUGH_FACEBOOK: Spec = Spec {
    id: "instagram_facebook",
    method: "facebook_login",
    scopes: &[
        Scope::new("instagram_basic", "see your profile and posts", Need::Required),
        Scope::new("pages_show_list", "see your Pages", Need::Required),
        Scope::new("instagram_content_publish", "publish content", Need::Publish),
        Scope::new("pages_read_engagement", "read the Page that the account is linked to", Need::Optional),
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
    first_lifetime_ms: HOUR,
    default_lifetime_ms: 60 * DAY,
    errors: ERRORS,
};

const ME_FIELDS: &str = "id,user_id,username,name,account_type,profile_picture_url";
const PAGE_FIELDS: &str = "id,name,access_token,tasks,instagram_business_account{id,username,name,profile_picture_url}";
const MEDIA_FIELDS: &str = "id,caption,media_type,media_product_type,media_url,thumbnail_url,permalink,timestamp,like_count,comments_count,\
    children{id,media_type,media_url,thumbnail_url}";
/// Scopes of the methods that stopped in December 2024 and January 2025: such a grant cannot publish.
const OLD_SCOPES: [&str; 4] = ["business_basic", "business_content_publish", "user_profile", "user_media"];

/// Instagram Login.
pub(crate) struct Login;
/// Instagram through Facebook Login.
pub(crate) struct ThroughFacebook;

#[tonic::async_trait]
impl Adapter for Login {
    fn spec(&self) -> &'static Spec {
        &LOGIN
    }

    fn dialog_extras(&self, ask: &Ask<'_>) -> Vec<(&'static str, String)> {
        if ask.rerequest { vec![("force_reauth", "true".to_owned())] } else { Vec::new() }
    }

    /// The code may still have the fragment on it that Instagram adds to its redirect.
    fn code_call(&self, app: &App, grant: &CodeGrant<'_>) -> Outgoing {
        let code = grant.code.trim_end_matches("#_");
        crate::oauth::code_call(&LOGIN, app, &CodeGrant { code, ..*grant })
    }

    fn next_call(&self, app: &App, answers: &[RawAnswer]) -> Option<Outgoing> {
        let token = graph::short_token(answers)?;
        let grant = ("grant_type", "ig_exchange_token".to_owned());
        let query = vec![grant, ("client_secret", app.secret().to_owned()), ("access_token", token)];
        Some(Outgoing::get("long_lived", format!("{}/access_token", app.api_base), query))
    }

    fn refresh_call(&self, app: &App, credential: &Credential) -> Option<Outgoing> {
        let query = vec![("grant_type", "ig_refresh_token".to_owned()), ("access_token", credential.access_token.clone())];
        Some(Outgoing::get("refresh", format!("{}/refresh_access_token", app.api_base), query))
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
        let answer = graph::get(ctx, &credential.platform_user_id, &credential.access_token, "/me", query).await?;
        let me = if answer["data"].is_array() { &answer["data"][0] } else { &answer };
        let account_id = discovery::required_id(if me["user_id"].is_null() { &me["id"] } else { &me["user_id"] })?;
        let scoped_id = classify::text(&me["id"]);
        let person = [&scoped_id, &credential.platform_user_id, &account_id].into_iter().find(|id| !id.is_empty());
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
    let old = found.granted_scopes.iter().any(|scope| OLD_SCOPES.contains(&scope.as_str()));
    let personal = account_type.is_some_and(|kind| kind.eq_ignore_ascii_case("personal"));
    if old || personal {
        return (false, discovery::CAPABILITY_MISSING.to_owned());
    }
    discovery::publish_scopes(found, &["instagram_business_content_publish"])
}

fn display_name(account: &Value) -> String {
    let name = classify::text(&account["name"]);
    if name.is_empty() { classify::text(&account["username"]) } else { name }
}

#[tonic::async_trait]
impl Adapter for ThroughFacebook {
    fn spec(&self) -> &'static Spec {
        &THROUGH_FACEBOOK
    }

    fn shares_app_with(&self) -> Option<&'static str> {
        Some("facebook")
    }

    fn dialog_extras(&self, ask: &Ask<'_>) -> Vec<(&'static str, String)> {
        rerequest(ask)
    }

    fn next_call(&self, app: &App, answers: &[RawAnswer]) -> Option<Outgoing> {
        graph::short_token(answers).map(|token| graph::exchange_call(&THROUGH_FACEBOOK, app, "long_lived", &token))
    }

    fn refresh_call(&self, app: &App, credential: &Credential) -> Option<Outgoing> {
        Some(graph::exchange_call(&THROUGH_FACEBOOK, app, "refresh", &credential.access_token))
    }

    async fn discover(&self, ctx: &Ctx, credential: &Credential) -> Result<DiscoverResponse> {
        let mut grant = graph::grant(ctx, credential).await?;
        for page in grant.pages(ctx, credential, PAGE_FIELDS).await? {
            let (account, name) = (&page["instagram_business_account"], classify::text(&page["name"]));
            let (id, token) = (classify::text(&account["id"]), classify::text(&page["access_token"]));
            if id.is_empty() || token.is_empty() {
                grant.found.skipped.push(format!("Page “{name}” has no linked Instagram professional account"));
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
        let readable = ["instagram_basic", "pages_show_list"].iter().all(|scope| found.granted_scopes.iter().any(|granted| granted == scope));
        let problem = if readable { discovery::ROLE_LOST } else { discovery::PERMISSION_MISSING };
        discovery::add_lost(&mut found, known, |_| problem);
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

async fn list_media(ctx: &Ctx, target: &Target, limit: u32, cursor: &str) -> Result<PostPage> {
    let mut query = vec![("fields", MEDIA_FIELDS.to_owned()), ("limit", limit.to_string())];
    query.extend((!cursor.is_empty()).then(|| ("after", cursor.to_owned())));
    let answer = graph::get(ctx, &target.id, &target.token, &format!("/{}/media", target.id), query).await?;
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
        match graph::post(ctx, &target.id, &target.token, &format!("/{}/media_publish", target.id), form).await {
            Err(error) if attempt < TRIES && error.code == "9007/2207027" => {
                tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            }
            Err(error) => return Err(error),
            Ok(answer) => return Ok(discovery::published(ctx, draft, discovery::required_id(&answer["id"])?)),
        }
    }
    Err(classify::error(ErrorClass::Transient, "container", "Instagram did not finish the image in time"))
}

fn post(media: &Value) -> Post {
    let parts = media["children"]["data"].as_array().cloned().unwrap_or_else(|| vec![media.clone()]);
    let of = |part: &Value| {
        let kind = if part["media_type"] == "VIDEO" { "video" } else { "image" };
        // Left out where somebody claims the copyright.
        let url = if part["media_url"].is_string() { &part["media_url"] } else { &part["thumbnail_url"] };
        Media { kind: kind.to_owned(), url: classify::text(url) }
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
        comment_previews: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use proto::common::v1::ErrorClass::PermissionMissing;
    use proto::platforms::v1::Delivery;
    use serde_json::json;

    use super::*;
    use crate::app::tests::app;
    use crate::http::Body;
    use crate::oauth;

    const SENT: i64 = 1_790_000_000_000;

    fn answers(list: &[(&str, u32, Value)]) -> Answers {
        let answer = |(step, status, body): &(&str, u32, Value)| RawAnswer {
            step: (*step).into(),
            status: *status,
            body: body.to_string().into_bytes(),
            sent_at_ms: SENT,
            ..RawAnswer::default()
        };
        Answers { answers: list.iter().map(answer).collect(), delivery: Delivery::Answered.into(), ..Answers::default() }
    }

    #[test]
    fn the_consent_address_is_instagrams_own() {
        let ask = Ask { state: "s", redirect_uri: "r", verifier: "", rerequest: true };
        let app = app("instagram", &["instagram_business_basic", "instagram_business_content_publish"]);
        let url = oauth::authorize(&LOGIN, &app, &ask, &Login.dialog_extras(&ask));
        assert!(url.starts_with("https://dialog.test/oauth/authorize?response_type=code&client_id="), "{url}");
        assert!(url.contains("scope=instagram_business_basic%2Cinstagram_business_content_publish") && url.ends_with("force_reauth=true"));
    }

    #[test]
    fn the_code_goes_in_a_form_without_the_fragment_and_the_long_exchange_to_another_host() {
        let app = app("instagram", &["a"]);
        let call = Login.code_call(&app, &CodeGrant { code: "SBX_IG_CODE_1#_", redirect_uri: "r", verifier: "" });
        assert_eq!(call.url, "https://token.test/oauth/access_token");
        let Body::Form(form) = call.body else { panic!("not a form") };
        assert_eq!(form[0], ("code", "SBX_IG_CODE_1".to_owned()));
        let short = answers(&[("code", 200, json!({"data": [{"access_token": "SBXIGshort1", "user_id": "25"}]}))]);
        let next = Login.next_call(&app, &short.answers).unwrap();
        assert_eq!((next.method.as_str(), next.url.as_str()), ("GET", "https://api.test/access_token"));
        let refresh = Login.refresh_call(&app, &Credential { access_token: "SBXIGlong1".into(), ..Credential::default() }).unwrap();
        assert_eq!((refresh.method.as_str(), refresh.url.as_str()), ("GET", "https://api.test/refresh_access_token"));
    }

    #[test]
    fn the_person_and_the_scopes_come_from_the_first_answer_and_the_token_from_the_second() {
        let code = json!({"access_token": "SBXIGshort1", "user_id": 25_000_000_000_000_001_u64, "permissions": ["instagram_business_basic"]});
        let long = json!({"access_token": "SBXIGlong1", "token_type": "bearer", "expires_in": 5_183_944});
        let credential = Login.interpret(&answers(&[("code", 200, code.clone()), ("long_lived", 200, long)]), None).result.ok().unwrap();
        assert_eq!((credential.access_token.as_str(), credential.platform_user_id.as_str()), ("SBXIGlong1", "25000000000000001"));
        assert_eq!((credential.scopes.len(), credential.access_expires_at_ms), (1, SENT + 5_183_944_000));
        let alone = Login.interpret(&answers(&[("code", 200, code)]), None).result.ok().unwrap();
        assert_eq!(alone.access_expires_at_ms, SENT + HOUR);
    }

    #[test]
    fn h21_a_refused_refresh_of_a_young_token_is_try_later() {
        let body = json!({"error": {"message": "too young", "code": 10}});
        let class = |age: i64| {
            let previous = Credential { access_token: "SBXIGlong1".into(), issued_at_ms: SENT - age, ..Credential::default() };
            Login.interpret(&answers(&[("refresh", 400, body.clone())]), Some(&previous)).result.err().unwrap().class()
        };
        assert_eq!(class(HOUR), Transient);
        assert_eq!(class(3 * DAY), PermissionMissing);
    }

    #[test]
    fn old_scopes_and_personal_accounts_cannot_publish() {
        let problem = |scope: &str, kind| {
            let found = DiscoverResponse { granted_scopes: vec![scope.to_owned()], ..DiscoverResponse::default() };
            publish(&found, Some(kind)).1
        };
        assert_eq!(problem("instagram_business_content_publish", "MEDIA_CREATOR"), "");
        assert_eq!(problem("instagram_business_content_publish", "Personal"), "publish_capability_missing");
        assert_eq!(problem("business_basic", "BUSINESS"), "publish_capability_missing");
        assert_eq!(problem("instagram_business_basic", "BUSINESS"), "permission_missing");
    }

    #[test]
    fn an_album_has_its_pictures_and_hidden_likes_stay_unknown() {
        let album = json!({"id": "18", "caption": "Sourdough day", "media_type": "CAROUSEL_ALBUM", "media_url": "https://example.test/1.jpg",
            "timestamp": "2026-11-19T17:05:11+0000", "comments_count": 2,
            "children": {"data": [{"media_type": "IMAGE", "media_url": "https://example.test/1a.jpg"}, {"media_type": "VIDEO", "thumbnail_url": "https://example.test/1b.jpg"}]}});
        let post = post(&album);
        assert_eq!((post.media.len(), post.media[1].kind.as_str(), post.media[1].url.as_str()), (2, "video", "https://example.test/1b.jpg"));
        assert_eq!((post.reactions, post.comments), (None, Some(2)));
    }
}

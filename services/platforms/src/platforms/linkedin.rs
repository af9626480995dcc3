//! LinkedIn members and organisations. Consent is all or nothing, so one grant of one scope set carries the member and
//! every organisation the member administers; all use the member's token. Only approved partners get a refresh token,
//! and its end is fixed at consent. Destination ids are URNs: they are the author of a post as they stand.

use std::collections::BTreeSet;

use proto::common::v1::ErrorClass::{
    AccountRestricted, AppMisconfigured, BadCode, Expired, InvalidRequest, NotFound, PermissionMissing, RateLimited,
    Revoked, Transient, UserDenied,
};
use proto::platforms::v1::{Credential, Destination, DiscoverResponse, Post, Renewal};
use serde_json::{Value, json};

use crate::adapter::{Adapter, Draft, Result, Target};
use crate::classify::{self, On, Row};
use crate::ctx::Ctx;
use crate::discovery;
use crate::http::Outgoing;
use crate::reply;
use crate::spec::{ClientAuth, DAY, Need, Pkce, Platform, Scope, Spec};

pub(crate) const PLATFORM: Platform = Platform {
    id: "linkedin",
    title: "LinkedIn",
    short_title: "LinkedIn",
    capabilities: &["publish", "analytics"],
    token_diagnostics: false,
    settings_hint: "Settings & Privacy > Data privacy > Permitted services",
    connectors: &[&LinkedIn],
};

/// Kinds of destination.
const MEMBER: &str = "member";
const ORGANIZATION: &str = "organization";
/// Roles that may post for an organisation.
const POSTING_ROLES: &[&str] = &["ADMINISTRATOR", "CONTENT_ADMINISTRATOR", "CONTENT_ADMIN"];
/// Any of these lets us read which organisations a member administers.
const ADMIN_SCOPES: &[&str] = &[
    "rw_organization_admin",
    "r_organization_admin",
    "w_organization_social",
    "r_organization_social",
];
/// Largest page of access controls, and of organisations.
const PAGE: usize = 100;
/// Pages that are read at most.
const PAGES: usize = 50;

static SPEC: Spec = Spec {
    id: "linkedin",
    method: "oauth",
    scopes: &[
        Scope::new("openid", "sign you in", Need::Required),
        Scope::new("profile", "see your profile", Need::Required),
        Scope::new("email", "see your e-mail address", Need::Optional),
        Scope::new("w_member_social", "post as you", Need::Publish).only(&[MEMBER]),
        Scope::new("w_organization_social", "post as the company", Need::Publish).only(&[ORGANIZATION]),
        Scope::new("r_organization_social", "read the company's posts", Need::Optional).only(&[ORGANIZATION]),
        Scope::new(
            "rw_organization_admin",
            "see which companies you manage, and their analytics",
            Need::Optional,
        )
        .only(&[ORGANIZATION]),
        Scope::new("r_organization_admin", "see which companies you manage", Need::Optional).only(&[ORGANIZATION]),
        Scope::new("r_basicprofile", "see your profile", Need::Optional),
    ],
    separator: " ",
    client_id: "client_id",
    client_auth: ClientAuth::Body,
    pkce: Pkce::None,
    dialog_path: "/oauth/v2/authorization",
    token_path: "/oauth/v2/accessToken",
    renewal: Renewal::ReconnectOnly,
    renewal_by_refresh_token: Renewal::InPlace,
    repeatable_refresh: true,
    min_refresh_age_ms: 0,
    announced_refresh: false,
    shared_grant: true,
    revocable: false,
    publish_needs_image: false,
    daily_limits: true,
    versioned: true,
    first_lifetime_ms: 60 * DAY,
    default_lifetime_ms: 60 * DAY,
    errors: ERRORS,
};

const ERRORS: &[Row] = &[
    Row::text("invalid_request", BadCode).saying("authorization code not found"),
    Row::text("invalid_redirect_uri", BadCode),
    Row::text("invalid_request", Revoked).saying("refresh token is invalid"),
    Row::text("invalid_grant", BadCode).on(On::Code),
    Row::text("invalid_grant", Revoked),
    Row::text("invalid_client", AppMisconfigured),
    Row::text("unauthorized_client", AppMisconfigured),
    Row::text("unauthorized_scope_error", AppMisconfigured),
    Row::text("user_cancelled_login", UserDenied),
    Row::text("user_cancelled_authorize", UserDenied),
    Row::text("invalid_request", InvalidRequest),
    Row::text("INVALID_ACCESS_TOKEN", Revoked),
    Row::text("REVOKED_ACCESS_TOKEN", Revoked),
    Row::text("EXPIRED_ACCESS_TOKEN", Expired),
    Row::text("RESTRICTED_MEMBER", AccountRestricted),
    Row::number(65600, Revoked),
    Row::number(65601, Revoked),
    Row::number(65602, Expired),
    Row::number(65608, AccountRestricted),
    Row::text("ACCESS_DENIED", PermissionMissing),
    Row::text("VERSION_MISSING", AppMisconfigured),
    Row::text("NONEXISTENT_VERSION", AppMisconfigured),
    Row::status(426, AppMisconfigured),
    Row::status(429, RateLimited),
    Row::status(401, InvalidRequest).saying("empty oauth2_access_token"),
    // Of the token endpoint a bare status says nothing about a grant: anybody between us and it may have made it.
    Row::status(401, Revoked).on(On::Api),
    Row::status(403, PermissionMissing).on(On::Api),
    Row::status(404, NotFound).on(On::Api),
    Row::status(400, InvalidRequest).on(On::Api),
    Row::status(422, InvalidRequest).on(On::Api),
    Row::status(500, Transient),
];

/// The adapter.
pub(crate) struct LinkedIn;

/// Whether any of the scopes was granted. A grant that does not tell its scopes may have them all.
fn any_granted(credential: &Credential, scopes: &[&str]) -> bool {
    credential.scopes.is_empty()
        || scopes
            .iter()
            .any(|scope| credential.scopes.iter().any(|granted| granted == scope))
}

/// The organisation of an access control entry, under any of the names that were used for it.
fn organization(element: &Value) -> Option<&str> {
    ["organization", "organizationTarget", "organizationalTarget"]
        .iter()
        .find_map(|name| element[*name].as_str())
}

async fn rest(ctx: &Ctx, token: &str, url: String) -> Result<Value> {
    let subject = kit::id::sha256_hex(token.as_bytes());
    Ok(ctx
        .call(&subject, versioned(ctx, Outgoing::get("api", url, Vec::new()), token))
        .await?
        .json)
}

fn versioned(ctx: &Ctx, outgoing: Outgoing, token: &str) -> Outgoing {
    outgoing
        .bearer(token)
        .header("linkedin-version", ctx.app.version.clone())
        .header("x-restli-protocol-version", "2.0.0")
}

/// Organisations that the member has a posting role at.
async fn administered(ctx: &Ctx, token: &str) -> Result<Vec<String>> {
    let mut found = BTreeSet::new();
    for role in ["ADMINISTRATOR", "CONTENT_ADMINISTRATOR"] {
        for page in 0..PAGES {
            let start = page * PAGE;
            let url =
                format!("/rest/organizationAcls?q=roleAssignee&role={role}&state=APPROVED&count={PAGE}&start={start}");
            let answer = rest(ctx, token, ctx.api(&url)).await?;
            let elements = answer["elements"].as_array().map(Vec::as_slice).unwrap_or_default();
            let posting = |element: &&Value| {
                element["role"]
                    .as_str()
                    .is_none_or(|role| POSTING_ROLES.contains(&role))
            };
            found.extend(
                elements
                    .iter()
                    .filter(posting)
                    .filter_map(organization)
                    .map(str::to_owned),
            );
            let more = answer["paging"]["links"]
                .as_array()
                .is_some_and(|links| links.iter().any(|link| link["rel"] == "next"));
            if elements.is_empty() || !(more || elements.len() == PAGE) {
                break;
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Names and pictures of organisations, asked for in batches.
async fn describe(ctx: &Ctx, token: &str, urns: &[String], can_publish: bool) -> Result<Vec<Destination>> {
    let mut destinations = Vec::new();
    for batch in urns.chunks(50) {
        let id = |urn: &String| urn.rsplit(':').next().unwrap_or_default().to_owned();
        let ids: Vec<String> = batch
            .iter()
            .map(id)
            .filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()))
            .collect();
        let answer = rest(
            ctx,
            token,
            ctx.api(&format!("/rest/organizations?ids=List({})", ids.join(","))),
        )
        .await?;
        for urn in batch {
            let organization = &answer["results"][id(urn)];
            let name = classify::text(&organization["localizedName"]);
            destinations.push(Destination {
                platform_account_id: urn.clone(),
                kind: ORGANIZATION.to_owned(),
                display_name: if name.is_empty() { urn.clone() } else { name },
                username: classify::text(&organization["vanityName"]),
                can_publish,
                publish_problem: if can_publish {
                    String::new()
                } else {
                    discovery::PERMISSION_MISSING.to_owned()
                },
                ..Destination::default()
            });
        }
    }
    Ok(destinations)
}

/// Characters that mean something in LinkedIn's post texts are escaped; a hash stays, so that hashtags do.
fn commentary(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if "|{}@[]()<>\\*_~".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[tonic::async_trait]
impl Adapter for LinkedIn {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn discover(&self, ctx: &Ctx, credential: &Credential) -> Result<DiscoverResponse> {
        let token = &credential.access_token;
        let user = ctx.get(token, ctx.api("/v2/userinfo"), Vec::new()).await?;
        let id = discovery::required_id(&user["sub"])?;
        let mut found = discovery::granted(&ctx.app, credential, &id, &classify::text(&user["name"]));
        let (can_publish, publish_problem) = discovery::publish_scopes(&found, &["w_member_social"]);
        found.destinations.push(Destination {
            platform_account_id: format!("urn:li:person:{id}"),
            kind: MEMBER.to_owned(),
            display_name: found.user_name.clone(),
            avatar_url: classify::text(&user["picture"]),
            can_publish,
            publish_problem,
            ..Destination::default()
        });
        if any_granted(credential, ADMIN_SCOPES) {
            match administered(ctx, token).await {
                Ok(urns) => {
                    let (can_publish, _) = discovery::publish_scopes(&found, &["w_organization_social"]);
                    found
                        .destinations
                        .extend(describe(ctx, token, &urns, can_publish).await?);
                }
                Err(error) if error.class() == PermissionMissing => {
                    found
                        .skipped
                        .push("Companies: LinkedIn did not allow us to see which ones you manage".to_owned());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn inspect(&self, ctx: &Ctx, credential: &Credential, known: &[Destination]) -> Result<DiscoverResponse> {
        let form = vec![
            ("client_id", ctx.app.client_id.clone()),
            ("client_secret", ctx.app.secret().to_owned()),
            ("token", credential.access_token.clone()),
        ];
        let url = format!("{}/oauth/v2/introspectToken", ctx.app.token_base);
        let token = ctx.call("", Outgoing::form("inspect", url, form)).await?.json;
        match token["status"].as_str() {
            Some("expired") => {
                return Err(classify::error(
                    Expired,
                    "expired",
                    "LinkedIn says that the token has expired",
                ));
            }
            _ if token["active"] == false => {
                return Err(classify::error(
                    Revoked,
                    "revoked",
                    "LinkedIn says that the token was revoked",
                ));
            }
            _ => {}
        }
        let scopes = token["scope"]
            .as_str()
            .map_or_else(|| credential.scopes.clone(), reply::split_scopes);
        let mut found = self
            .discover(
                ctx,
                &Credential {
                    scopes,
                    ..credential.clone()
                },
            )
            .await?;
        found.access_expires_at_ms = token["expires_at"].as_i64().unwrap_or(0).saturating_mul(1000);
        let problem = if found.skipped.is_empty() {
            discovery::ROLE_LOST
        } else {
            discovery::PERMISSION_MISSING
        };
        discovery::add_lost(&mut found, known, problem);
        Ok(found)
    }

    async fn publish(&self, ctx: &Ctx, target: &Target, draft: &Draft) -> Result<Post> {
        if !draft.image_url.is_empty() {
            return Err(classify::error(
                InvalidRequest,
                "image",
                "posts to LinkedIn carry text only here",
            ));
        }
        let post = json!({
            "author": target.id,
            "commentary": commentary(&draft.text),
            "visibility": "PUBLIC",
            "distribution": { "feedDistribution": "MAIN_FEED", "targetEntities": [], "thirdPartyDistributionChannels": [] },
            "lifecycleState": "PUBLISHED",
            "isReshareDisabledByAuthor": false,
        });
        let outgoing = versioned(ctx, Outgoing::json(ctx.api("/rest/posts"), post), &target.token);
        let reply = ctx.call(&target.id, outgoing).await?;
        let id = reply.headers.get("x-restli-id").cloned().unwrap_or_default();
        let id = discovery::required_id(&Value::String(id))?;
        Ok(Post {
            permalink: format!("https://www.linkedin.com/feed/update/{id}"),
            ..discovery::published(ctx, draft, id)
        })
    }
}

#[cfg(test)]
mod tests;

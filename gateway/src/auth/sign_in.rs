//! Signing a browser in at the OpenID Connect provider, and out again: authorization code with PKCE, `state` and `nonce`.
//!
//! What belongs to one sign-in travels in a sealed cookie of the browser that began it, named by its `state`: whoever lacks it
//! cannot finish, and nothing is stored for somebody who is not known yet. A session's cookie is made at the end, never before.

use axum::Router;
use axum::extract::{OriginalUri, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use kit::seal::{Aad, KeyRing};
use kit::{Code, id};
use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};

use super::client::Client;
use super::oidc::Oidc;
use super::{browser, claims};
use crate::api::Query;
use crate::cookies::{self, Cookie};
use crate::oauth::{is_look_ahead, sealed, see_other};
use crate::page;
use crate::problem::Problem;
use crate::state::App;

/// How long a person has at the provider.
const LIFETIME_SECONDS: u32 = 600;
const LONGEST_CODE: usize = 4096;
const LONGEST: usize = 512;
const LONGEST_RETURN: usize = 512;
/// Where one may come back to.
const PAGES: &[&str] = &[
    "/connections",
    "/overview",
    "/composer",
    "/notifications",
    "/billing",
    "/support",
];
const FAMILIES: &[&str] = &["/connections/", "/oauth/return/"];

/// Routes of signing in and out; there are none in `dev` mode.
pub(crate) fn router(app: &App) -> Router<App> {
    if app.auth.is_dev() {
        return Router::new();
    }
    Router::new()
        .route("/sign-in", get(begin))
        .route("/sign-in/callback", get(finish))
        .route("/sign-out", post(sign_out))
        .route("/signed-out", get(signed_out))
}

/// Where a page without a person leads: signing in, and back to it. `None` for what is no page to come back to.
pub(crate) fn way_in(app: &App, path: &PathAndQuery) -> Option<Response> {
    app.auth.oidc()?.client.as_ref()?;
    let is_page = PAGES.contains(&path.path()) || path.path().starts_with(FAMILIES[0]);
    is_page.then(|| {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("to", local(path.as_str()))
            .finish();
        sealed(Redirect::to(&format!("/sign-in?{query}")).into_response())
    })
}

/// A page of ours, with its query; the first of them for anything else.
fn local(to: &str) -> &str {
    let is_page = |path: &str| {
        PAGES.contains(&path)
            || FAMILIES
                .iter()
                .any(|family| path.starts_with(family) && !path.contains(".."))
    };
    let plain = to.len() <= LONGEST_RETURN && to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let path = to.split(['?', '#']).next().unwrap_or_default();
    if plain && is_page(path) { to } else { PAGES[0] }
}

#[derive(Deserialize)]
struct Wish {
    #[serde(default)]
    to: String,
}

/// One sign-in, kept by the browser, sealed.
#[derive(Serialize, Deserialize)]
struct Begun {
    nonce: String,
    verifier: String,
    to: String,
    at_ms: i64,
}

/// `GET /sign-in?to=…`: sends the browser to the provider.
async fn begin(State(app): State<App>, Query(wish): Query<Wish>) -> Result<Response, Problem> {
    let (oidc, client) = configured(&app)?;
    let endpoint = oidc.provider.endpoints().await?.authorization_endpoint.clone();
    let mut url = Url::parse(&endpoint).map_err(|_| super::provider::silent())?;
    let state = id::secret();
    let begun = Begun {
        nonce: id::secret(),
        verifier: id::secret(),
        to: local(&wish.to).to_owned(),
        at_ms: app.clock().now_ms(),
    };
    let challenge = URL_SAFE_NO_PAD.encode(id::sha256(begun.verifier.as_bytes()));
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &client.id)
        .append_pair("redirect_uri", &client.redirect_uri)
        .append_pair("scope", &client.scopes)
        .append_pair("state", &state)
        .append_pair("nonce", &begun.nonce)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256");
    if client.scopes.split(' ').any(|scope| scope == "offline_access") {
        // OpenID Connect Core 11 asks for it.
        url.query_pairs_mut().append_pair("prompt", "consent");
    }
    let mut response = see_other(url.as_str());
    let kept = seal(&app, &state, &begun)?;
    cookie(&app, &cookie_name(&state), &kept, LIFETIME_SECONDS).set(response.headers_mut());
    Ok(response)
}

/// `GET /sign-in/callback`: back from the provider.
async fn finish(
    State(app): State<App>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if is_look_ahead(&method, &headers) {
        return Ok(sealed(StatusCode::NO_CONTENT.into_response()));
    }
    let finished = complete(&app, uri.query().unwrap_or_default(), &headers).await;
    let (mut response, state) = match finished {
        Ok((session, begun, state)) => {
            let mut response = see_other(local(&begun.to));
            let life = u32::try_from(app.common.auth.session_life.as_secs()).unwrap_or(u32::MAX);
            cookie(&app, cookies::SESSION, &session, life).set(response.headers_mut());
            (response, Some(state))
        }
        Err(problem) => {
            tracing::warn!(
                reason = problem.0.code.slug(),
                detail = problem.0.detail,
                "a sign-in failed"
            );
            (sealed(problem.into_response()), None)
        }
    };
    if let Some(state) = state {
        cookie(&app, &cookie_name(&state), "", 0).set(response.headers_mut());
    }
    Ok(response)
}

/// What the provider sent along, each at most once.
struct Returned {
    state: String,
    code: String,
    iss: String,
}

async fn complete(app: &App, query: &str, headers: &HeaderMap) -> Result<(String, Begun, String), Problem> {
    let (oidc, client) = configured(app)?;
    let returned = parse(query)?;
    let begun = opened(app, &returned.state, headers)?;
    let promised = oidc
        .provider
        .endpoints()
        .await?
        .authorization_response_iss_parameter_supported;
    if (promised || !returned.iss.is_empty()) && returned.iss != oidc.provider.issuer {
        return Err(mismatch());
    }
    let (credential, id_token) = oidc.trade(&returned.code, &begun.verifier).await?;
    let claims = oidc.provider.claims(id_token.expose(), &client.id).await?;
    let now = app.clock().now_ms() / 1000;
    claims::check_id_token(&claims, &client.id, &begun.nonce, now).map_err(|claim| {
        tracing::warn!(claim, "the ID token of a sign-in is not good");
        super::invalid()
    })?;
    let subject = claims::subject(&claims).ok_or_else(super::invalid)?;
    let person = oidc.person(&credential, subject).await?;
    let before = cookies::read(headers, &cookies::name(cookies::SESSION, app.config.is_https()));
    let before = before.and_then(browser::hash_of);
    let session = browser::create(app, oidc, &credential, &person, before).await?;
    tracing::info!(user = subject, "signed in");
    Ok((session, begun, returned.state))
}

/// Reads the query strictly: what stands twice, is too long or no plain text comes from no provider.
fn parse(query: &str) -> Result<Returned, Problem> {
    let one = |name: &str, longest: usize| {
        let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(found, _)| found == name);
        let value = values.next().map(|(_, value)| value.into_owned()).unwrap_or_default();
        let is_plain = value.len() <= longest && value.bytes().all(|byte| byte.is_ascii_graphic());
        if values.next().is_some() || !is_plain {
            return Err(mismatch());
        }
        Ok(value)
    };
    let (state, code, iss) = (one("state", LONGEST)?, one("code", LONGEST_CODE)?, one("iss", LONGEST)?);
    let has_error = form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "error");
    if has_error {
        return Err(Problem::new(Code::OauthDenied, "you were not signed in; try again"));
    }
    if state.is_empty() || code.is_empty() {
        return Err(mismatch());
    }
    Ok(Returned { state, code, iss })
}

/// `POST /sign-out`: ends this browser's session, or all of the person's.
async fn sign_out(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let name = cookies::name(cookies::SESSION, app.config.is_https());
    let hash = cookies::read(request.headers(), &name).and_then(browser::hash_of);
    let body = crate::api::read_body(request.into_body(), &app).await?;
    let everywhere = form_urlencoded::parse(&body).any(|(name, _)| name == "everywhere");
    if let Some(hash) = hash
        && let Some(credential) = browser::end(&app, hash, everywhere).await?
    {
        let worker = app.clone();
        app.tasks.spawn(async move {
            if let Some(oidc) = worker.auth.oidc() {
                oidc.revoke(&credential).await;
            }
        });
    }
    let mut response = see_other("/signed-out");
    cookie(&app, cookies::SESSION, "", 0).set(response.headers_mut());
    let clear = HeaderValue::from_static("\"cache\", \"storage\"");
    response.headers_mut().insert("clear-site-data", clear);
    Ok(response)
}

async fn signed_out(headers: HeaderMap) -> Response {
    let accepts = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok());
    sealed(page::signed_out(accepts.unwrap_or_default()))
}

fn configured(app: &App) -> Result<(&Oidc, &Client), Problem> {
    let oidc = app.auth.oidc().ok_or_else(Problem::not_found)?;
    let client = oidc.client.as_ref();
    let missing = || {
        Problem::new(
            Code::Unauthenticated,
            "browsers cannot sign in here: auth.client_id is not set",
        )
    };
    Ok((oidc, client.ok_or_else(missing)?))
}

fn cookie_name(state: &str) -> String {
    format!("sz-sign-in-{}", &id::sha256_hex(state.as_bytes())[..16])
}

fn cookie<'a>(app: &App, plain_name: &'a str, value: &'a str, seconds: u32) -> Cookie<'a> {
    Cookie {
        plain_name,
        value,
        https: app.config.is_https(),
        max_age_seconds: Some(seconds),
    }
}

fn ring(app: &App) -> Result<KeyRing, Problem> {
    Ok(app.common.signer.ring("sign-in")?)
}

fn place(state: &str) -> Aad<'_> {
    Aad {
        workspace: "",
        record: state,
        field: "sign-in",
        generation: 0,
    }
}

fn seal(app: &App, state: &str, begun: &Begun) -> Result<String, Problem> {
    let plain = serde_json::to_vec(begun).unwrap_or_default();
    let sealed = ring(app)?.seal(&place(state), &plain);
    let sealed = sealed.map_err(|_| Problem::new(Code::Internal, "the sign-in could not begin"))?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

/// What this browser began under this state, while it is not too old.
fn opened(app: &App, state: &str, headers: &HeaderMap) -> Result<Begun, Problem> {
    let name = cookies::name(&cookie_name(state), app.config.is_https());
    let kept = cookies::read(headers, &name).and_then(|value| URL_SAFE_NO_PAD.decode(value).ok());
    let plain = ring(app)?.open(&place(state), &kept.ok_or_else(mismatch)?);
    let begun: Begun = serde_json::from_slice(&plain.map_err(|_| mismatch())?).map_err(|_| mismatch())?;
    let age_ms = app.clock().now_ms() - begun.at_ms;
    if (0..=i64::from(LIFETIME_SECONDS) * 1000).contains(&age_ms) {
        Ok(begun)
    } else {
        Err(mismatch())
    }
}

fn mismatch() -> Problem {
    Problem::new(Code::OauthStateMismatch, "this sign-in cannot be used; start again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o5_one_comes_back_to_a_page_of_ours_and_to_nothing_else() {
        for good in [
            "/connections?account=acc_1",
            "/overview",
            "/connections/acc_1/disconnect",
        ] {
            assert_eq!(local(good), good);
        }
        let long = format!("/connections?q={}", "x".repeat(600));
        for evil in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example/connections",
            "/connections\\..\\x",
            "/connections/../dev/session",
            "/connections\r\nLocation: https://evil.example",
            "/connectionsevil",
            "/api/v1/me",
            "javascript:alert(1)",
            &long,
        ] {
            assert_eq!(local(evil), "/connections", "{evil}");
        }
    }

    #[test]
    fn a13_a15_what_stands_twice_or_says_error_signs_nobody_in() {
        assert!(parse("state=s&code=c&iss=i").is_ok());
        for bad in [
            "state=s",
            "code=c",
            "state=s&state=s&code=c",
            "state=s&code=c&code=c",
            "state=s&code=c&iss=a&iss=a",
            "state=s&code=%00",
            "state=s&code=c&error=access_denied",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}

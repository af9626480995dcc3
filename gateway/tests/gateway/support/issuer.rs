//! An OpenID Connect provider on loopback: strict as a real one, and told by the test when to lie.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, StatusCode};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use super::{Gateway, NOW};

const CLIENT: &str = "hub-client";
const SECRET: &str = "hub secret";

/// A key pair of the issuer.
#[derive(Clone)]
struct Key {
    kid: String,
    private: EncodingKey,
    public: Value,
}

impl Key {
    fn new(kid: &str) -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = (
            URL_SAFE_NO_PAD.encode(&point[1..33]),
            URL_SAFE_NO_PAD.encode(&point[33..]),
        );
        Self {
            kid: kid.into(),
            private: EncodingKey::from_ec_der(pkcs8.as_ref()),
            public: json!({"kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "x": x, "y": y}),
        }
    }
}

/// What the issuer does and remembers; tests change it.
pub(crate) struct Play {
    key: Key,
    /// How often its keys were read.
    pub(crate) asked: usize,
    /// Answers 503 to everything.
    pub(crate) silent: bool,
    /// What it says of the person at the userinfo endpoint.
    pub(crate) person: Value,
    /// What is different in ID tokens.
    pub(crate) id_changes: Value,
    /// Says in its metadata that answers carry `iss`.
    pub(crate) promises_iss: bool,
    /// Access tokens live so long, in seconds.
    pub(crate) access_seconds: i64,
    /// Refuses refresh tokens.
    pub(crate) refuses_refresh: bool,
    /// How often a refresh token was spent.
    pub(crate) refreshed: usize,
    /// Codes that were traded or refused.
    pub(crate) trades: usize,
    pub(crate) revoked: Vec<String>,
    /// Nonce and challenge by code.
    codes: HashMap<String, (String, String)>,
    access_token: String,
    refresh_token: String,
}

/// The issuer.
#[derive(Clone)]
pub(crate) struct Issuer {
    pub(crate) url: String,
    play: Arc<Mutex<Play>>,
}

/// A sign-in under way.
pub(crate) struct Dialog {
    pub(crate) query: HashMap<String, String>,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let person = json!({"sub": "usr_1", "name": "Dana", "workspaces": {"acme": "owner", "other": "member"}});
        let play = Play {
            key: Key::new("k1"),
            asked: 0,
            silent: false,
            person,
            id_changes: json!({}),
            promises_iss: false,
            access_seconds: 3600,
            refuses_refresh: false,
            refreshed: 0,
            trades: 0,
            revoked: Vec::new(),
            codes: HashMap::new(),
            access_token: String::new(),
            refresh_token: String::new(),
        };
        let issuer = Self {
            url,
            play: Arc::new(Mutex::new(play)),
        };
        let routes = axum::Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .route("/revoke", post(revoke))
            .with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        issuer
    }

    pub(crate) fn play(&self) -> MutexGuard<'_, Play> {
        self.play.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A gateway that trusts this issuer.
    pub(crate) async fn gateway(&self) -> Gateway {
        self.gateway_with(&[]).await
    }

    pub(crate) async fn gateway_with(&self, more: &[(&str, &str)]) -> Gateway {
        let ring = "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
        let mut settings = vec![
            ("AUTH__MODE", "oidc"),
            ("AUTH__ISSUER", self.url.as_str()),
            ("AUTH__CLIENT_ID", CLIENT),
            ("AUTH__CLIENT_SECRET", SECRET),
            ("KEYS__RING", ring),
        ];
        settings.extend(more);
        Gateway::with(&settings).await
    }

    /// Signs with another key from now on, and publishes no other.
    pub(crate) fn rotate(&self, kid: &str) {
        self.play().key = Key::new(kid);
    }

    /// Good claims of an access token with some replaced; null takes one away.
    pub(crate) fn claims(&self, changes: &Value) -> Value {
        let now = NOW / 1000;
        let claims = json!({
            "iss": self.url, "aud": "socializioz", "sub": "usr_1", "name": "Dana",
            "exp": now + 600, "nbf": now - 5, "workspaces": {"acme": "admin", "other": "member"},
        });
        changed(claims, changes)
    }

    /// `Bearer …`
    pub(crate) fn sign(&self, changes: Value) -> String {
        let kid = self.play().key.kid.clone();
        self.sign_under(&kid, changes)
    }

    pub(crate) fn sign_under(&self, kid: &str, changes: Value) -> String {
        let header = Header {
            kid: Some(kid.into()),
            ..Header::new(Algorithm::ES256)
        };
        format!("Bearer {}", self.signed(&header, &self.claims(&changes)))
    }

    /// A token with this header and these claims.
    pub(crate) fn signed(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.play().key.private).unwrap()
    }

    /// The person consents at the address that a browser was sent to; the address that it is sent back to.
    pub(crate) fn consent(&self, location: &str) -> String {
        let dialog = Dialog::of(location);
        let code = kit::id::secret();
        let (nonce, challenge) = (dialog.query["nonce"].clone(), dialog.query["code_challenge"].clone());
        self.play().codes.insert(code.clone(), (nonce, challenge));
        format!("/sign-in/callback?state={}&code={code}", dialog.query["state"])
    }
}

impl Dialog {
    pub(crate) fn of(location: &str) -> Self {
        let url = Url::parse(location).unwrap();
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(
            (query["response_type"].as_str(), query["client_id"].as_str()),
            ("code", CLIENT)
        );
        assert_eq!(query["code_challenge_method"], "S256");
        assert_eq!(query["redirect_uri"], "http://127.0.0.1:8080/sign-in/callback");
        Self { query }
    }
}

fn changed(mut claims: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

async fn discovery(State(issuer): State<Issuer>) -> Response {
    let (url, play) = (&issuer.url, issuer.play());
    if play.silent {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    Json(json!({
        "issuer": url, "jwks_uri": format!("{url}/keys"), "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"), "userinfo_endpoint": format!("{url}/userinfo"),
        "revocation_endpoint": format!("{url}/revoke"), "authorization_response_iss_parameter_supported": play.promises_iss,
    }))
    .into_response()
}

async fn keys(State(issuer): State<Issuer>) -> Response {
    let mut play = issuer.play();
    play.asked += 1;
    if play.silent {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    Json(json!({"keys": [play.key.public]})).into_response()
}

async fn token(
    State(issuer): State<Issuer>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let refused = |error: &str| (StatusCode::BAD_REQUEST, Json(json!({"error": error}))).into_response();
    if issuer.play().silent {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    // RFC 6749 2.3.1: both halves are form-encoded before they are joined.
    let basic = format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode("hub-client:hub+secret")
    );
    if headers.get("authorization").is_none_or(|found| found != basic.as_str()) {
        return refused("invalid_client");
    }
    let nonce = if form["grant_type"] == "authorization_code" {
        let mut play = issuer.play();
        play.trades += 1;
        let Some((nonce, challenge)) = play.codes.remove(&form["code"]) else {
            return refused("invalid_grant");
        };
        let proof = URL_SAFE_NO_PAD.encode(kit::id::sha256(form["code_verifier"].as_bytes()));
        if proof != challenge || form["redirect_uri"] != "http://127.0.0.1:8080/sign-in/callback" {
            return refused("invalid_grant");
        }
        nonce
    } else {
        let mut play = issuer.play();
        play.refreshed += 1;
        if play.refuses_refresh || form["refresh_token"] != play.refresh_token {
            return refused("invalid_grant");
        }
        String::new()
    };
    let now = NOW / 1000;
    let claims = json!({
        "iss": issuer.url, "aud": CLIENT, "sub": "usr_1", "exp": now + 3600, "iat": now, "nonce": nonce,
    });
    let (changes, kid) = {
        let play = issuer.play();
        (play.id_changes.clone(), play.key.kid.clone())
    };
    let claims = changed(claims, &changes);
    let id_token = issuer.signed(
        &Header {
            kid: Some(kid),
            ..Header::new(Algorithm::ES256)
        },
        &claims,
    );
    let mut play = issuer.play();
    play.access_token = format!("canary-access-{}", kit::id::secret());
    play.refresh_token = format!("canary-refresh-{}", kit::id::secret());
    Json(json!({
        "access_token": play.access_token, "token_type": "Bearer", "expires_in": play.access_seconds,
        "refresh_token": play.refresh_token, "id_token": id_token,
    }))
    .into_response()
}

async fn userinfo(State(issuer): State<Issuer>, headers: HeaderMap) -> Response {
    let play = issuer.play();
    let bearer = format!("Bearer {}", play.access_token);
    if play.silent {
        StatusCode::BAD_GATEWAY.into_response()
    } else if headers
        .get("authorization")
        .is_some_and(|found| found == bearer.as_str())
    {
        Json(play.person.clone()).into_response()
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

async fn revoke(State(issuer): State<Issuer>, Form(form): Form<HashMap<String, String>>) -> StatusCode {
    issuer.play().revoked.push(form["token"].clone());
    StatusCode::OK
}

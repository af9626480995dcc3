//! Bearer tokens of an OpenID Connect issuer: what is let in, and what is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::Json;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Gateway, NOW};

const ME: &str = "/api/v1/me";

/// An issuer on loopback with one key, and how often it was asked for keys.
struct Issuer {
    url: String,
    key: EncodingKey,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start() -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = (
            URL_SAFE_NO_PAD.encode(&point[1..33]),
            URL_SAFE_NO_PAD.encode(&point[33..]),
        );
        let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k1", "alg": "ES256", "x": x, "y": y}]});
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let (discovery, count) = (json!({"issuer": url, "jwks_uri": format!("{url}/keys")}), asked.clone());
        let routes = axum::Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(move || async move { Json(discovery) }),
            )
            .route(
                "/keys",
                get(move || async move {
                    count.fetch_add(1, Ordering::SeqCst);
                    Json(keys)
                }),
            );
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self {
            url,
            key: EncodingKey::from_ec_der(pkcs8.as_ref()),
            asked,
        }
    }

    async fn gateway(&self) -> Gateway {
        let ring = "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
        Gateway::with(&[
            ("AUTH__MODE", "oidc"),
            ("AUTH__ISSUER", &self.url),
            ("KEYS__RING", ring),
        ])
        .await
    }

    /// Good claims with some replaced; null takes one away.
    fn claims(&self, changes: Value) -> Value {
        let now = NOW / 1000;
        let mut claims = json!({
            "iss": self.url, "aud": "socializioz", "sub": "usr_1", "name": "Dana",
            "exp": now + 600, "nbf": now - 5, "workspaces": {"acme": "admin", "other": "member"},
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    fn sign(&self, changes: Value) -> String {
        self.sign_under("k1", changes)
    }

    fn sign_under(&self, kid: &str, changes: Value) -> String {
        let header = Header {
            kid: Some(kid.into()),
            ..Header::new(Algorithm::ES256)
        };
        format!(
            "Bearer {}",
            jsonwebtoken::encode(&header, &self.claims(changes), &self.key).unwrap()
        )
    }
}

#[tokio::test]
async fn a_token_of_the_issuer_is_let_in_with_its_workspaces() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let me = gateway.get(ME).by(&issuer.sign(json!({}))).send().await;
    assert_eq!(me.status, StatusCode::OK, "{me:?}");
    assert_eq!(
        me.json()["workspaces"],
        json!([{"id": "acme", "role": "admin"}, {"id": "other", "role": "member"}])
    );
    let foreign = gateway
        .get("/api/v1/workspaces/third/accounts")
        .by(&issuer.sign(json!({})))
        .send()
        .await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn b2_b3_wrong_claims_are_401() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let now = NOW / 1000;
    for changes in [
        json!({"aud": "another"}),
        json!({"iss": "https://evil.example"}),
        json!({"exp": now - 61}),
        json!({"exp": null}),
        json!({"nbf": now + 61}),
        json!({"sub": null}),
        json!({"nonce": "n"}),
        json!({"typ": "ID"}),
    ] {
        let answer = gateway.get(ME).by(&issuer.sign(changes.clone())).send().await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::UNAUTHORIZED, "unauthenticated".into()),
            "{changes}"
        );
    }
}

#[tokio::test]
async fn b1_b8_unsigned_self_signed_and_oversized_tokens_are_401() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let body = URL_SAFE_NO_PAD.encode(issuer.claims(json!({})).to_string());
    let none = format!(
        "Bearer {}.{body}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"k1"}"#)
    );
    let header = Header {
        kid: Some("k1".into()),
        ..Header::new(Algorithm::HS256)
    };
    let symmetric = jsonwebtoken::encode(&header, &issuer.claims(json!({})), &EncodingKey::from_secret(b"k1")).unwrap();
    let stranger = Issuer::start().await.sign(json!({"iss": issuer.url}));
    let large = issuer.sign(json!({"name": "x".repeat(9000)}));
    for token in [
        none,
        format!("Bearer {symmetric}"),
        stranger,
        large,
        "Bearer a.b.c".into(),
    ] {
        assert_eq!(
            gateway.get(ME).by(&token).send().await.status,
            StatusCode::UNAUTHORIZED,
            "{}",
            &token[..40.min(token.len())]
        );
    }
}

#[tokio::test]
async fn b4_a_flood_of_unknown_keys_asks_the_issuer_once_in_half_a_minute() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    assert_eq!(
        gateway.get(ME).by(&issuer.sign(json!({}))).send().await.status,
        StatusCode::OK
    );
    for number in 0..100 {
        let token = issuer.sign_under(&format!("../../k{number}"), json!({}));
        assert_eq!(gateway.get(ME).by(&token).send().await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 1);
    gateway.clock.advance(Duration::from_secs(31));
    gateway.get(ME).by(&issuer.sign_under("k2", json!({}))).send().await;
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 2);
}

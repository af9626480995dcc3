//! Bearer tokens of an OpenID Connect issuer: what is let in, and what is not.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use crate::support::NOW;
use crate::support::issuer::Issuer;

const ME: &str = "/api/v1/me";

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
    let body = URL_SAFE_NO_PAD.encode(issuer.claims(&json!({})).to_string());
    let none = format!(
        "Bearer {}.{body}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"k1"}"#)
    );
    let header = Header {
        kid: Some("k1".into()),
        ..Header::new(Algorithm::HS256)
    };
    let symmetric =
        jsonwebtoken::encode(&header, &issuer.claims(&json!({})), &EncodingKey::from_secret(b"k1")).unwrap();
    let stranger = Issuer::start().await.sign(json!({"iss": issuer.url}));
    let large = issuer.sign(json!({"name": "x".repeat(9000)}));
    let deep = issuer.sign(json!({"deep": (0..1000).fold(json!(1), |inner, _| json!([inner]))}));
    for token in [
        none,
        format!("Bearer {symmetric}"),
        stranger,
        large,
        deep,
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
    assert_eq!(issuer.play().asked, 1);
    gateway.clock.advance(Duration::from_secs(31));
    gateway.get(ME).by(&issuer.sign_under("k2", json!({}))).send().await;
    assert_eq!(issuer.play().asked, 2);
}

#[tokio::test]
async fn b5_what_a_token_says_of_keys_is_not_looked_at() {
    let (issuer, stranger) = (Issuer::start().await, Issuer::start().await);
    let gateway = issuer.gateway().await;
    let claims = issuer.claims(&json!({}));
    let keys = format!("{}/keys", stranger.url);
    for kid in ["k1", "../../k1", "k1' OR '1'='1", ""] {
        let header = Header {
            kid: Some(kid.into()),
            jku: Some(keys.clone()),
            x5u: Some(keys.clone()),
            ..Header::new(Algorithm::ES256)
        };
        let token = format!("Bearer {}", stranger.signed(&header, &claims));
        assert_eq!(
            gateway.get(ME).by(&token).send().await.status,
            StatusCode::UNAUTHORIZED,
            "{kid}"
        );
    }
    assert_eq!((stranger.play().asked, issuer.play().asked), (0, 1));
}

#[tokio::test]
async fn b6_known_keys_serve_for_a_day_while_the_issuer_is_away() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    let day = json!({"exp": NOW / 1000 + 3 * 86_400});
    assert_eq!(
        gateway.get(ME).by(&issuer.sign(day.clone())).send().await.status,
        StatusCode::OK
    );
    issuer.play().silent = true;
    gateway.clock.advance(Duration::from_secs(23 * 3600));
    assert_eq!(
        gateway.get(ME).by(&issuer.sign(day.clone())).send().await.status,
        StatusCode::OK
    );
    gateway.clock.advance(Duration::from_secs(2 * 3600));
    assert_eq!(
        gateway.get(ME).by(&issuer.sign(day)).send().await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn b7_a_rotated_key_is_fetched_once_and_nobody_is_refused() {
    let issuer = Issuer::start().await;
    let gateway = issuer.gateway().await;
    assert_eq!(
        gateway.get(ME).by(&issuer.sign(json!({}))).send().await.status,
        StatusCode::OK
    );
    gateway.clock.advance(Duration::from_secs(31));
    issuer.rotate("k2");
    let token = issuer.sign(json!({}));
    let calls = (0..20).map(|_| gateway.get(ME).by(&token).send());
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.status, StatusCode::OK);
    }
    assert_eq!(issuer.play().asked, 2);
}

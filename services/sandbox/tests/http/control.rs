//! The control API, the index page, pictures, and what platforms push.

use base64::Engine as _;
use sandbox::defaults::{FACEBOOK_CLIENT_SECRET, TIKTOK_CLIENT_SECRET};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::harness::{REDIRECT, Sandbox};

/// Takes one request whole and answers 200.
async fn receive(listener: TcpListener) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
        if body.is_some() && body >= length {
            break;
        }
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        .await
        .unwrap();
    text
}

async fn pushed(sandbox: &Sandbox, mut order: Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    order["url"] = json!(format!("http://{}/hook", listener.local_addr().unwrap()));
    let (text, answer) = futures_util::join!(receive(listener), sandbox.control("callbacks", order));
    assert_eq!(answer["answers"][0], json!({"status": 200, "body": "ok"}));
    text
}

fn hmac(secret: &str, message: &str) -> Vec<u8> {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
    aws_lc_rs::hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
}

#[tokio::test]
async fn f1_deauthorize_callbacks_are_signed_with_the_app_secret_or_wrongly() {
    let sandbox = Sandbox::start().await;
    for (signature, valid) in [("correct", true), ("wrong", false)] {
        let order = json!({"platform": "facebook", "person": "ada", "what": "deauthorize", "signature": signature});
        let text = pushed(&sandbox, order).await;
        let value = text.split_once("signed_request=").unwrap().1;
        let (sent, payload) = value.split_once('.').unwrap();
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        assert_eq!(
            engine.decode(sent).unwrap() == hmac(FACEBOOK_CLIENT_SECRET, payload),
            valid
        );
        let payload: Value = serde_json::from_slice(&engine.decode(payload).unwrap()).unwrap();
        assert_eq!(payload["user_id"], "900000000000001");
    }
}

#[tokio::test]
async fn f3_tiktok_webhooks_are_signed_over_time_and_body() {
    let sandbox = Sandbox::start().await;
    let order = json!({"platform": "tiktok", "person": "ada", "what": "authorization_removed", "age_seconds": 600});
    let text = pushed(&sandbox, order).await;
    let header = text
        .lines()
        .find_map(|line| line.strip_prefix("tiktok-signature: "))
        .unwrap();
    let (time, signature) = header.strip_prefix("t=").unwrap().split_once(",s=").unwrap();
    let body = text.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(
        signature,
        hex::encode(hmac(TIKTOK_CLIENT_SECRET, &format!("{time}.{body}")))
    );
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (&body["event"], &body["content"]),
        (&json!("authorization.removed"), &json!("{\"reason\":1}"))
    );
    assert_eq!(sandbox.log("callback").await[0]["status"], 200);
}

#[tokio::test]
async fn the_index_lists_people_escaped_and_pictures_are_pngs() {
    let sandbox = Sandbox::start().await;
    let page = sandbox.get("/", &[]).await;
    assert!(page.text.contains("دورا") && page.text.contains("&#60;script&#62;") && !page.text.contains("<script>"));
    for path in ["/avatars/ada.png", "/images/1000000.png"] {
        let answer = sandbox.http.get(sandbox.url(path, &[])).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "image/png");
        assert!(answer.bytes().await.unwrap().starts_with(b"\x89PNG\r\n\x1a\n"));
    }
    assert_eq!(sandbox.get("/v9/nothing", &[]).await.status, 404);
}

#[tokio::test]
async fn a_reset_forgets_everything_but_the_log_number() {
    let sandbox = Sandbox::start().await;
    sandbox.get("/v25.0/me", &[]).await;
    sandbox
        .switch(json!({"platform": "x", "effect": {"kind": "deny"}}))
        .await;
    sandbox.advance(60).await;
    let before = sandbox.get("/_sandbox/log", &[]).await.json["last"].as_u64().unwrap();
    sandbox
        .send(sandbox.http.post(sandbox.url("/_sandbox/reset", &[])))
        .await;
    let after = sandbox.get("/_sandbox/log", &[("after", &before.to_string())]).await;
    assert_eq!(after.at("/entries/0/kind"), "reset");
    assert_eq!(sandbox.get("/_sandbox/clock", &[]).await.at("/offset_seconds"), "0");
    assert_eq!(
        sandbox.get("/_sandbox/switches", &[]).await.json["switches"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn the_log_never_holds_a_token_or_a_query() {
    let sandbox = Sandbox::start().await;
    let query = [
        ("client_id", "700000000000001"),
        ("redirect_uri", REDIRECT),
        ("scope", "pages_show_list"),
    ];
    let code = sandbox
        .consent(&sandbox.url("/v25.0/dialog/oauth", &query), "ada")
        .await["code"]
        .clone();
    let exchange = [
        query[0],
        query[1],
        ("client_secret", FACEBOOK_CLIENT_SECRET),
        ("code", code.as_str()),
    ];
    let token = sandbox
        .get("/v25.0/oauth/access_token", &exchange)
        .await
        .at("/access_token");
    sandbox.get("/v25.0/me", &[("access_token", &token)]).await;
    let log = sandbox.get("/_sandbox/log", &[]).await.text;
    let truth = sandbox.get("/_sandbox/truth", &[]).await;
    assert!(
        ![&token, &code]
            .iter()
            .any(|secret| log.contains(secret.as_str()) || truth.text.contains(secret.as_str()))
    );
    let shown = truth.at("/grants/0/tokens/0/fingerprint");
    assert!(shown.len() == 12 && log.contains(&shown));
}

#[tokio::test]
async fn orders_that_make_no_sense_are_refused() {
    let sandbox = Sandbox::start().await;
    for (path, body) in [
        ("switches", json!({"platform": "x", "effect": {"kind": "hagn"}})),
        (
            "switches",
            json!({"platform": "x", "effect": {"kind": "hang", "wehn": "after"}}),
        ),
        (
            "actions",
            json!({"platform": "x", "person": "zoe", "action": {"kind": "revoke"}}),
        ),
        ("consent", json!({"authorize_url": "http://x.test/", "person": "ada"})),
        (
            "callbacks",
            json!({"platform": "x", "person": "ada", "what": "deauthorize", "url": "http://127.0.0.1:1/"}),
        ),
    ] {
        let answer = sandbox
            .send(
                sandbox
                    .http
                    .post(sandbox.url(&format!("/_sandbox/{path}"), &[]))
                    .json(&body),
            )
            .await;
        assert!(answer.status.is_client_error(), "{path} {body}: {}", answer.status);
    }
    let answer = sandbox
        .send(
            sandbox
                .http
                .patch(sandbox.url("/_sandbox/profile", &[]))
                .json(&json!({"x": 1})),
        )
        .await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_shutdown_ends_requests_that_were_told_to_hang() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = tokio_util::sync::CancellationToken::new();
    let serving = tokio::spawn(sandbox::serve(sandbox::Config::default(), listener, shutdown.clone()));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let order = json!({"platform": "facebook", "effect": {"kind": "hang"}});
    http.post(format!("{base}/_sandbox/switches"))
        .json(&order)
        .send()
        .await
        .unwrap();
    let hanging = tokio::spawn(http.get(format!("{base}/v25.0/me")).send());
    let hung = async || {
        http.get(format!("{base}/_sandbox/log"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    };
    while !hung().await.contains("\"hung\"") {}
    shutdown.cancel();
    assert!(hanging.await.unwrap().is_err());
    serving.await.unwrap().unwrap();
}

#[test]
fn an_unknown_key_in_the_configuration_is_refused() {
    let good = json!({"enabled": false, "apps": {"x": {"client_id": "a", "client_secret": "b"}}});
    let config: sandbox::Config = serde_json::from_value(good).unwrap();
    assert!(!config.enabled && !format!("{config:?}").contains("sandbox-app-secret"));
    assert!(serde_json::from_value::<sandbox::Config>(json!({"listn": "127.0.0.1:1"})).is_err());
}

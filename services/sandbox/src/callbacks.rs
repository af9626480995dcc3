//! Sends what platforms push to an app: Meta's deauthorize and data-deletion callbacks and webhooks, TikTok's webhook.
//! Signed as the platform signs, or wrongly when asked, as often as asked.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::crypto;
use crate::pipeline::Sandbox;
use crate::platform::Platform;
use crate::world::World;
use crate::world::log::Event;
use crate::world::people::Person;

/// How the message is signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Signature {
    #[default]
    Correct,
    /// With another secret.
    Wrong,
    Missing,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum What {
    /// Meta: `signed_request`.
    Deauthorize,
    /// Meta: `signed_request`, answered with a URL and a confirmation code.
    DataDeletion,
    /// Meta: webhook object `permissions`.
    PermissionRevoked,
    /// Meta: `GET` with `hub.challenge`.
    Verify,
    /// TikTok: webhook.
    AuthorizationRemoved,
    /// TikTok: webhook.
    PostPublished,
}

fn once() -> u32 {
    1
}

fn sha256_name() -> String {
    "HMAC-SHA256".to_owned()
}

/// Body of `POST /_sandbox/callbacks`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    platform: Platform,
    person: String,
    what: What,
    url: String,
    #[serde(default)]
    signature: Signature,
    /// The same message this many times, all at once.
    #[serde(default = "once")]
    times: u32,
    /// How long ago the platform says it happened.
    #[serde(default)]
    age_seconds: i64,
    /// `algorithm` inside a `signed_request`.
    #[serde(default = "sha256_name")]
    algorithm: String,
    /// `permission_revoked`: which.
    #[serde(default)]
    permission: Option<String>,
    /// `authorization_removed`: TikTok's number, default 1 (the user disconnected).
    #[serde(default)]
    reason: Option<u8>,
    #[serde(default)]
    verify_token: Option<String>,
}

/// What the receiver answered.
#[derive(Debug, Serialize)]
pub(crate) struct Sent {
    status: Option<u16>,
    body: String,
}

struct Message {
    body: String,
    content_type: &'static str,
    header: Option<(&'static str, String)>,
}

/// Sends and reports every answer.
pub(crate) async fn send(sandbox: &Sandbox, request: &Request) -> Result<Vec<Sent>, String> {
    let message = compose(&sandbox.world(), request)?;
    let attempts = (0..request.times.clamp(1, 200)).map(|_| deliver(sandbox, request, &message));
    let answers = futures_util::future::join_all(attempts).await;
    let what = serde_json::to_value(request.what)
        .ok()
        .and_then(|name| name.as_str().map(str::to_owned));
    for answer in &answers {
        sandbox.world().record(Event::Callback {
            platform: request.platform,
            person: request.person.clone(),
            what: what.clone().unwrap_or_default(),
            status: answer.status,
        });
    }
    Ok(answers)
}

fn compose(world: &World, request: &Request) -> Result<Message, String> {
    let person = world
        .person(&request.person)
        .ok_or_else(|| format!("no person \"{}\"", request.person))?;
    let app = world.apps.of(request.platform);
    let correct = request.signature == Signature::Correct;
    let secret = if correct {
        app.client_secret.as_str()
    } else {
        "not the secret"
    };
    let at = world.now_seconds() - request.age_seconds;
    match (request.what, request.platform) {
        (What::Verify, Platform::Facebook | Platform::Instagram) => Ok(Message {
            body: String::new(),
            content_type: "text/plain",
            header: None,
        }),
        (What::Deauthorize | What::DataDeletion, Platform::Facebook | Platform::Instagram) => Ok(signed_request(
            request,
            secret,
            &meta_user(world, request.platform, person),
            at,
        )),
        (What::PermissionRevoked, Platform::Facebook | Platform::Instagram) => Ok(permission_webhook(
            request,
            secret,
            &meta_user(world, request.platform, person),
            at,
        )),
        (What::AuthorizationRemoved | What::PostPublished, Platform::TikTok) => {
            let open_id = person.tiktok_open_id.as_deref().ok_or("this person is not on TikTok")?;
            Ok(tiktok_webhook(request, &app.client_id, secret, open_id, at))
        }
        _ => Err("this platform does not send that".to_owned()),
    }
}

/// The app-scoped id that Meta names a person by.
fn meta_user(world: &World, platform: Platform, person: &Person) -> String {
    let account = person
        .instagram_id
        .as_deref()
        .and_then(|id| world.instagram_account(id));
    match account {
        Some(account) if platform == Platform::Instagram => account.scoped_id.clone(),
        _ => person.facebook_id.clone(),
    }
}

fn signed_request(request: &Request, secret: &str, user: &str, at: i64) -> Message {
    let payload = json!({"user_id": user, "algorithm": request.algorithm, "issued_at": at}).to_string();
    let mut value = crypto::signed_request(secret, &payload);
    if request.signature == Signature::Missing {
        value = format!(".{}", value.split('.').next_back().unwrap_or_default());
    }
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("signed_request", &value)
        .finish();
    Message {
        body,
        content_type: "application/x-www-form-urlencoded",
        header: None,
    }
}

fn permission_webhook(request: &Request, secret: &str, user: &str, at: i64) -> Message {
    let permission = request.permission.as_deref().unwrap_or("pages_manage_posts");
    let change = json!({"field": permission, "value": {"verb": "revoke", "target_ids": []}});
    let entry = json!({"id": user, "uid": user, "time": at, "changes": [change]});
    let body = json!({"object": "permissions", "entry": [entry]}).to_string();
    let signature = crypto::hub_signature(secret, body.as_bytes());
    webhook(request, "x-hub-signature-256", body, signature)
}

fn tiktok_webhook(request: &Request, client_key: &str, secret: &str, open_id: &str, at: i64) -> Message {
    let (event, content) = match request.what {
        What::PostPublished => ("post.publish.complete", json!({"publish_id": "SBXTTpublish"})),
        _ => ("authorization.removed", json!({"reason": request.reason.unwrap_or(1)})),
    };
    let body = json!({
        "client_key": client_key, "event": event, "create_time": at, "user_openid": open_id,
        "content": content.to_string(),
    })
    .to_string();
    let signature = crypto::tiktok_signature(secret, at, &body);
    webhook(request, "tiktok-signature", body, signature)
}

fn webhook(request: &Request, header: &'static str, body: String, signature: String) -> Message {
    let header = (request.signature != Signature::Missing).then_some((header, signature));
    Message {
        body,
        content_type: "application/json",
        header,
    }
}

async fn deliver(sandbox: &Sandbox, request: &Request, message: &Message) -> Sent {
    let call = if request.what == What::Verify {
        let token = request.verify_token.as_deref().unwrap_or_default();
        let query = [
            ("hub.mode", "subscribe"),
            ("hub.challenge", "1158201444"),
            ("hub.verify_token", token),
        ];
        sandbox.http.get(&request.url).query(&query)
    } else {
        let call = sandbox
            .http
            .post(&request.url)
            .header("content-type", message.content_type)
            .body(message.body.clone());
        match &message.header {
            Some((name, value)) => call.header(*name, value),
            None => call,
        }
    };
    match call.send().await {
        Ok(answer) => {
            let status = Some(answer.status().as_u16());
            Sent {
                status,
                body: answer.text().await.unwrap_or_default(),
            }
        }
        Err(error) => Sent {
            status: None,
            body: error.without_url().to_string(),
        },
    }
}

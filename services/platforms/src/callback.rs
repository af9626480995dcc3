//! Calls of the platforms to us: a person removed our app, asks for deletion, withdrew a permission. Verified on raw bytes
//! with every secret that is valid; what does not verify is an error and says nothing else. The connectors of an event are
//! those whose app signed it. An event that is delivered twice has the same id.

use std::collections::HashMap;

use kit::{Clock, Code, Failure, id};
use proto::platforms::v1::{PlatformEvent, VerifyCallbackRequest, platform_event::Kind};
use serde_json::Value;
use url::form_urlencoded;

use crate::app::App;
use crate::classify;
use crate::signature;

/// Connectors that Meta calls for, and the one that only Instagram's own app serves.
const META: &[&str] = &["facebook", "instagram_facebook", "instagram"];
const INSTAGRAM: &[&str] = &["instagram"];

/// The request is not from the platform, or cannot be read.
fn refused() -> Failure {
    Failure::new(Code::Unauthenticated, "the callback is not signed by the platform")
}

/// Verifies a callback and says what it announces; nothing, when it is of no interest.
pub(crate) fn verify<'a>(
    request: &VerifyCallbackRequest,
    app: impl Fn(&str) -> Option<&'a App> + Copy,
    clock: &Clock,
) -> Result<Vec<PlatformEvent>, Failure> {
    match request.source.as_str() {
        "meta" => meta(request, META, Kind::Deauthorized, app),
        "meta_deletion" => meta(request, META, Kind::DataDeletion, app),
        "instagram" => meta(request, INSTAGRAM, Kind::Deauthorized, app),
        "instagram_deletion" => meta(request, INSTAGRAM, Kind::DataDeletion, app),
        "tiktok" => tiktok(request, app("tiktok"), clock),
        _ => Err(Failure::invalid("/source", "there is no such source of callbacks")),
    }
}

fn header<'a>(headers: &'a HashMap<String, String>, name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// A webhook has a signature header; the other callbacks carry a signed request in a form.
fn meta<'a>(
    request: &VerifyCallbackRequest,
    connectors: &[&str],
    kind: Kind,
    app: impl Fn(&str) -> Option<&'a App>,
) -> Result<Vec<PlatformEvent>, Failure> {
    let apps: Vec<&App> = connectors.iter().filter_map(|connector| app(connector)).collect();
    if let Some(signature) = header(&request.headers, "x-hub-signature-256") {
        let signed_by = apps
            .iter()
            .filter(|app| signature::hub(app.secrets(), signature, &request.body));
        let connectors: Vec<String> = signed_by.map(|app| app.connector.to_owned()).collect();
        return if connectors.is_empty() {
            Err(refused())
        } else {
            Ok(webhook(&request.body, &connectors))
        };
    }
    let form = form_urlencoded::parse(&request.body).find(|(name, _)| name == "signed_request");
    let signed = form.ok_or_else(refused)?.1;
    let verified = apps.iter().filter_map(|app| {
        Some((
            app.connector.to_owned(),
            signature::signed_request(app.secrets(), &signed)?,
        ))
    });
    let (connectors, payloads): (Vec<String>, Vec<Value>) = verified.unzip();
    let payload = payloads.first().ok_or_else(refused)?;
    let user_id = classify::text(&payload["user_id"]);
    if user_id.is_empty() {
        return Err(Failure::invalid("/body", "the callback names nobody"));
    }
    Ok(vec![event(
        kind,
        connectors,
        user_id,
        payload["issued_at"].as_i64().unwrap_or(0),
        String::new(),
    )])
}

fn event(
    kind: Kind,
    connectors: Vec<String>,
    platform_user_id: String,
    at_seconds: i64,
    detail: String,
) -> PlatformEvent {
    let what = format!("{}/{platform_user_id}/{at_seconds}/{detail}", kind.as_str_name());
    PlatformEvent {
        kind: kind.into(),
        event_id: format!("pev_{}", &id::sha256_hex(what.as_bytes())[..32]),
        connectors,
        platform_user_id,
        occurred_at_ms: at_seconds.saturating_mul(1000),
        detail,
    }
}

/// Withdrawn permissions; everything else that Meta reports is of no interest here.
fn webhook(body: &[u8], connectors: &[String]) -> Vec<PlatformEvent> {
    let body = classify::parse(body);
    if body["object"] != "permissions" {
        return Vec::new();
    }
    let mut events = Vec::new();
    for entry in body["entry"].as_array().into_iter().flatten() {
        let user = [&entry["uid"], &entry["id"]]
            .map(classify::text)
            .into_iter()
            .find(|user| !user.is_empty());
        for change in entry["changes"].as_array().into_iter().flatten() {
            let verb = &change["value"]["verb"];
            if let Some(user) = &user
                && (verb == "revoke" || verb == "revoked")
            {
                let field = classify::safe(&classify::text(&change["field"]));
                let at = entry["time"].as_i64().unwrap_or(0);
                events.push(event(
                    Kind::PermissionRevoked,
                    connectors.to_vec(),
                    user.clone(),
                    at,
                    field,
                ));
            }
        }
    }
    events
}

fn tiktok(request: &VerifyCallbackRequest, app: Option<&App>, clock: &Clock) -> Result<Vec<PlatformEvent>, Failure> {
    let (app, signature) = app
        .zip(header(&request.headers, "tiktok-signature"))
        .ok_or_else(refused)?;
    if !signature::tiktok(app.secrets(), signature, &request.body, clock.now_ms()) {
        return Err(refused());
    }
    let body = classify::parse(&request.body);
    if body["client_key"] != app.client_id.as_str() {
        return Err(refused());
    }
    if body["event"] != "authorization.removed" {
        return Ok(Vec::new());
    }
    let content: Value = body["content"]
        .as_str()
        .and_then(|content| serde_json::from_str(content).ok())
        .unwrap_or_default();
    let reason = match content["reason"].as_i64() {
        Some(1) => "the person disconnected our app",
        Some(2) => "the account was deleted",
        Some(3) => "the person's age changed",
        Some(4) => "the account was banned",
        Some(5) => "the developer revoked it",
        _ => "",
    };
    let user = classify::text(&body["user_openid"]);
    if user.is_empty() {
        return Err(Failure::invalid("/body", "the callback names nobody"));
    }
    let at = body["create_time"].as_i64().unwrap_or(0);
    Ok(vec![event(
        Kind::Deauthorized,
        vec![app.connector.to_owned()],
        user,
        at,
        reason.to_owned(),
    )])
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;

    use super::*;
    use crate::app::tests::app;

    const NOW: i64 = 1_790_000_000_000;

    fn verified(source: &str, headers: &[(&str, String)], body: &str) -> Result<Vec<PlatformEvent>, Failure> {
        let apps = ["facebook", "instagram_facebook", "instagram", "tiktok"].map(|connector| app(connector, &["a"]));
        let request = VerifyCallbackRequest {
            source: source.into(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            body: body.into(),
        };
        verify(
            &request,
            |connector| apps.iter().find(|app| app.connector == connector),
            &Clock::manual(NOW),
        )
    }

    fn sign(message: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"sbx-client-secret");
        hex::encode(hmac::sign(&key, message.as_bytes()))
    }

    fn signed_request(payload: &str) -> String {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let payload = URL_SAFE_NO_PAD.encode(payload);
        format!(
            "signed_request={}.{payload}",
            URL_SAFE_NO_PAD.encode(hex::decode(sign(&payload)).unwrap())
        )
    }

    #[test]
    fn a_deauthorization_names_the_person_and_has_the_same_id_twice() {
        let body = signed_request(r#"{"user_id":"900000000000001","algorithm":"HMAC-SHA256","issued_at":1790000000}"#);
        let events = verified("meta", &[], &body).unwrap();
        assert_eq!(
            (events[0].kind(), events[0].platform_user_id.as_str()),
            (Kind::Deauthorized, "900000000000001")
        );
        assert_eq!(events[0].event_id, verified("meta", &[], &body).unwrap()[0].event_id);
        assert_eq!(
            verified("meta_deletion", &[], &body).unwrap()[0].kind(),
            Kind::DataDeletion
        );
        assert_eq!(verified("instagram", &[], &body).unwrap()[0].connectors, ["instagram"]);
    }

    #[test]
    fn nothing_is_believed_without_a_signature() {
        for body in ["signed_request=AAAA.e30", "user_id=1", ""] {
            assert_eq!(verified("meta", &[], body).unwrap_err().code, Code::Unauthenticated);
        }
        let wrong = [("X-Hub-Signature-256", format!("sha256={}", sign("other")))];
        assert_eq!(verified("meta", &wrong, "{}").unwrap_err().code, Code::Unauthenticated);
        assert_eq!(verified("tiktok", &[], "{}").unwrap_err().code, Code::Unauthenticated);
    }

    #[test]
    fn a_withdrawn_permission_is_told_and_other_webhooks_are_not() {
        let body = r#"{"object":"permissions","entry":[{"uid":"900000000000001","time":1790000000,"changes":[{"field":"pages_manage_posts","value":{"verb":"revoke"}},{"field":"x","value":{"verb":"grant"}}]}]}"#;
        let events = verified(
            "meta",
            &[("X-Hub-Signature-256", format!("sha256={}", sign(body)))],
            body,
        )
        .unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(
            (events[0].kind(), events[0].detail.as_str()),
            (Kind::PermissionRevoked, "pages_manage_posts")
        );
        let body = r#"{"object":"page","entry":[{"id":"104","changes":[{"field":"feed","value":{}}]}]}"#;
        assert!(
            verified(
                "meta",
                &[("x-hub-signature-256", format!("sha256={}", sign(body)))],
                body
            )
            .unwrap()
            .is_empty()
        );
    }

    #[test]
    fn tiktok_tells_who_left_and_why() {
        let body = r#"{"client_key":"sbx-client-id","event":"authorization.removed","create_time":1790000000,"user_openid":"sbx-open-id-0001","content":"{\"reason\":1}"}"#;
        let header = format!("t=1790000000,s={}", sign(&format!("1790000000.{body}")));
        let events = verified("tiktok", &[("TikTok-Signature", header)], body).unwrap();
        assert_eq!(
            (events[0].platform_user_id.as_str(), events[0].detail.as_str()),
            ("sbx-open-id-0001", "the person disconnected our app")
        );
        let other = body.replace("sbx-client-id", "somebody-else");
        let header = format!("t=1790000000,s={}", sign(&format!("1790000000.{other}")));
        assert!(verified("tiktok", &[("TikTok-Signature", header)], &other).is_err());
    }
}

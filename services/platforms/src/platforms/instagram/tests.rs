//! Instagram's wire samples: what is sent, what is read, and every row of the error table.

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
    Answers {
        answers: list.iter().map(answer).collect(),
        delivery: Delivery::Answered.into(),
        ..Answers::default()
    }
}

#[test]
fn the_consent_address_is_instagrams_own() {
    let ask = Ask {
        state: "s",
        redirect_uri: "r",
        verifier: "",
        rerequest: true,
    };
    let app = app(
        "instagram",
        &["instagram_business_basic", "instagram_business_content_publish"],
    );
    let url = oauth::authorize(&LOGIN, &app, &ask, &Login.dialog_extras(&ask));
    assert!(
        url.starts_with("https://dialog.test/oauth/authorize?response_type=code&client_id="),
        "{url}"
    );
    assert!(
        url.contains("scope=instagram_business_basic%2Cinstagram_business_content_publish")
            && url.ends_with("force_reauth=true")
    );
}

#[test]
fn the_code_goes_in_a_form_without_the_fragment_and_the_long_exchange_to_another_host() {
    let app = app("instagram", &["a"]);
    let call = Login.code_call(
        &app,
        &CodeGrant {
            code: "SBX_IG_CODE_1#_",
            redirect_uri: "r",
            verifier: "",
        },
    );
    assert_eq!(call.url, "https://token.test/oauth/access_token");
    let Body::Form(form) = call.body else {
        panic!("not a form")
    };
    assert_eq!(form[0], ("code", "SBX_IG_CODE_1".to_owned()));
    let short = answers(&[(
        "code",
        200,
        json!({"data": [{"access_token": "SBXIGshort1", "user_id": "25"}]}),
    )]);
    let next = Login.next_call(&app, &short.answers).unwrap();
    assert_eq!(
        (next.method.as_str(), next.url.as_str()),
        ("GET", "https://api.test/access_token")
    );
    let refresh = Login
        .refresh_call(
            &app,
            &Credential {
                access_token: "SBXIGlong1".into(),
                ..Credential::default()
            },
        )
        .unwrap();
    assert_eq!(
        (refresh.method.as_str(), refresh.url.as_str()),
        ("GET", "https://api.test/refresh_access_token")
    );
}

#[test]
fn the_person_and_the_scopes_come_from_the_first_answer_and_the_token_from_the_second() {
    let code = json!({"access_token": "SBXIGshort1", "user_id": 25_000_000_000_000_001_u64, "permissions": ["instagram_business_basic"]});
    let long = json!({"access_token": "SBXIGlong1", "token_type": "bearer", "expires_in": 5_183_944});
    let credential = Login
        .interpret(
            &answers(&[("code", 200, code.clone()), ("long_lived", 200, long)]),
            None,
        )
        .result
        .ok()
        .unwrap();
    assert_eq!(
        (credential.access_token.as_str(), credential.platform_user_id.as_str()),
        ("SBXIGlong1", "25000000000000001")
    );
    assert_eq!(
        (credential.scopes.len(), credential.access_expires_at_ms),
        (1, SENT + 5_183_944_000)
    );
    let alone = Login
        .interpret(&answers(&[("code", 200, code)]), None)
        .result
        .ok()
        .unwrap();
    assert_eq!(alone.access_expires_at_ms, SENT + HOUR);
}

#[test]
fn h21_a_refused_refresh_of_a_young_token_is_try_later() {
    let body = json!({"error": {"message": "too young", "code": 10}});
    let class = |age: i64| {
        let previous = Credential {
            access_token: "SBXIGlong1".into(),
            issued_at_ms: SENT - age,
            ..Credential::default()
        };
        Login
            .interpret(&answers(&[("refresh", 400, body.clone())]), Some(&previous))
            .result
            .err()
            .unwrap()
            .class()
    };
    assert_eq!(class(HOUR), Transient);
    assert_eq!(class(3 * DAY), PermissionMissing);
}

#[test]
fn old_scopes_and_personal_accounts_cannot_publish() {
    let problem = |scope: &str, kind| {
        let found = DiscoverResponse {
            granted_scopes: vec![scope.to_owned()],
            ..DiscoverResponse::default()
        };
        publish(&found, Some(kind)).1
    };
    assert_eq!(problem("instagram_business_content_publish", "MEDIA_CREATOR"), "");
    assert_eq!(
        problem("instagram_business_content_publish", "Personal"),
        "publish_capability_missing"
    );
    assert_eq!(problem("business_basic", "BUSINESS"), "publish_capability_missing");
    assert_eq!(problem("instagram_business_basic", "BUSINESS"), "permission_missing");
}

#[test]
fn an_album_has_its_pictures_and_hidden_likes_stay_unknown() {
    let album = json!({"id": "18", "caption": "Sourdough day", "media_type": "CAROUSEL_ALBUM", "media_url": "https://example.test/1.jpg",
        "timestamp": "2026-11-19T17:05:11+0000", "comments_count": 2,
        "children": {"data": [{"media_type": "IMAGE", "media_url": "https://example.test/1a.jpg"}, {"media_type": "VIDEO", "thumbnail_url": "https://example.test/1b.jpg"}]}});
    let post = post(&album);
    assert_eq!(
        (
            post.media.len(),
            post.media[1].kind.as_str(),
            post.media[1].url.as_str()
        ),
        (2, "video", "https://example.test/1b.jpg")
    );
    assert_eq!((post.reactions, post.comments), (None, Some(2)));
}

//! Facebook's wire samples: what is sent, what is read, and every row of the error table.

use proto::common::v1::ErrorClass;
use proto::platforms::v1::{Answers, Delivery};
use serde_json::json;

use super::*;
use crate::app::tests::app;
use crate::oauth::{self, CodeGrant};

const SENT: i64 = 1_790_000_000_000;

fn answer(step: &str, status: u32, body: &Value) -> RawAnswer {
    RawAnswer {
        step: step.into(),
        status,
        body: body.to_string().into_bytes(),
        sent_at_ms: SENT,
        ..RawAnswer::default()
    }
}

fn answers(answers: Vec<RawAnswer>) -> Answers {
    Answers {
        answers,
        delivery: Delivery::Answered.into(),
        ..Answers::default()
    }
}

#[test]
fn the_consent_address_has_commas_a_version_and_asks_again_when_told() {
    let ask = Ask {
        state: "s",
        redirect_uri: "r",
        verifier: "",
        rerequest: true,
    };
    let url = oauth::authorize(
        &SPEC,
        &app("facebook", &["pages_show_list", "pages_manage_posts"]),
        &ask,
        &Facebook.dialog_extras(&ask),
    );
    assert!(
        url.starts_with("https://dialog.test/v25.0/dialog/oauth?response_type=code&client_id=sbx-client-id&"),
        "{url}"
    );
    assert!(
        url.contains("scope=pages_show_list%2Cpages_manage_posts") && url.ends_with("auth_type=rerequest"),
        "{url}"
    );
}

#[test]
fn the_code_and_then_the_short_token_go_in_the_query() {
    let app = app("facebook", &["a"]);
    let call = Facebook.code_call(
        &app,
        &CodeGrant {
            code: "SBX_CODE_1",
            redirect_uri: "r",
            verifier: "",
        },
    );
    assert_eq!(
        (call.method.as_str(), call.url.as_str()),
        ("GET", "https://token.test/v25.0/oauth/access_token")
    );
    let names: Vec<&str> = call.query.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["code", "redirect_uri", "client_id", "client_secret"]);
    let code = answer(
        "code",
        200,
        &json!({"access_token": "SBXEAAshort0001", "token_type": "bearer", "expires_in": 5183}),
    );
    let next = Facebook.next_call(&app, std::slice::from_ref(&code)).unwrap();
    assert!(
        next.query
            .contains(&("fb_exchange_token", "SBXEAAshort0001".to_owned()))
    );
    assert!(Facebook.next_call(&app, &[code.clone(), code]).is_none());
}

#[test]
fn when_the_long_exchange_fails_the_short_token_is_taken_with_its_real_end() {
    let code = answer(
        "code",
        200,
        &json!({"access_token": "SBXEAAshort0001", "expires_in": 5183}),
    );
    let failed = answer("long_lived", 500, &json!({"error": {"code": 2, "message": "m"}}));
    let credential = Facebook
        .interpret(&answers(vec![code.clone(), failed]), None)
        .result
        .ok()
        .unwrap();
    assert_eq!(
        (credential.access_token.as_str(), credential.access_expires_at_ms),
        ("SBXEAAshort0001", SENT + 5_183_000)
    );
    let long = answer("long_lived", 200, &json!({"access_token": "SBXEAAlong0001"}));
    let credential = Facebook
        .interpret(&answers(vec![code, long]), None)
        .result
        .ok()
        .unwrap();
    assert_eq!(
        (credential.access_token.as_str(), credential.access_expires_at_ms),
        ("SBXEAAlong0001", SENT + 60 * DAY)
    );
    assert_eq!(credential.renewal(), Renewal::Exchange);
}

#[test]
fn a_reply_that_does_not_move_the_end_is_a_failed_attempt() {
    let previous = Credential {
        access_token: "SBXEAAlong0001".into(),
        access_expires_at_ms: SENT + 5 * DAY,
        ..Credential::default()
    };
    let renewed = |token: &str, seconds: i64| {
        let reply = answer("refresh", 200, &json!({"access_token": token, "expires_in": seconds}));
        Facebook.interpret(&answers(vec![reply]), Some(&previous)).result
    };
    let class = |token, seconds| renewed(token, seconds).err().unwrap().class();
    for token in ["SBXEAAlong0001", "SBXEAAlong0002"] {
        assert_eq!(class(token, 5 * 86_400), ErrorClass::NotExtended);
        assert_eq!(class(token, 5 * 86_400 + 2), ErrorClass::NotExtended);
        assert_eq!(
            renewed(token, 60 * 86_400).ok().unwrap().access_expires_at_ms,
            SENT + 60 * DAY
        );
    }
}

#[test]
fn short_lived_tokens_are_extended_by_a_whole_new_life_however_soon() {
    let (minute, day) = (60_000, 86_400_i64);
    let previous = Credential {
        access_token: "SBXEAAlong0001".into(),
        issued_at_ms: SENT - minute,
        access_expires_at_ms: SENT - minute + 3 * DAY,
        ..Credential::default()
    };
    let renewed = |token: &str, seconds: i64| {
        let reply = answer("refresh", 200, &json!({"access_token": token, "expires_in": seconds}));
        Facebook
            .interpret(&answers(vec![reply]), Some(&previous))
            .result
            .is_ok()
    };
    assert!(renewed("SBXEAAlong0002", 3 * day));
    // The end is where it was, whatever the token is called.
    assert!(!renewed("SBXEAAlong0002", 3 * day - 60) && !renewed("SBXEAAlong0002", 3 * day - 2));
    assert!(!renewed("SBXEAAlong0001", 3 * day));
}

#[test]
fn a_post_is_read_with_everything_the_card_shows() {
    let answer = json!({"data": [{"id": "104000000000001_555000000000001", "message": "Fresh bread at 7.", "created_time": "2026-11-20T06:55:00+0000",
        "permalink_url": "https://www.facebook.com/p", "full_picture": "https://example.test/b.jpg", "shares": {"count": 3},
        "likes": {"data": [], "summary": {"total_count": 41}},
        "comments": {"data": [{"from": {"name": "Bo"}, "message": "Yum"}], "summary": {"total_count": 5}}}],
        "paging": {"cursors": {"after": "QVFJ"}, "next": "https://graph.facebook.com/"}});
    let (posts, cursor) = page_of(&answer, post);
    assert_eq!(
        (posts[0].reactions, posts[0].comments, posts[0].shares),
        (Some(41), Some(5), Some(3))
    );
    assert_eq!(
        (
            posts[0].comment_previews[0].author.as_str(),
            posts[0].media[0].url.as_str()
        ),
        ("Bo", "https://example.test/b.jpg")
    );
    assert_eq!((posts[0].published_at_ms, cursor.as_str()), (1_795_157_700_000, "QVFJ"));
}

#[test]
fn a_young_token_may_be_exchanged_for_an_equally_young_one() {
    let reply = |token: &str| answer("refresh", 200, &json!({"access_token": token, "expires_in": 5_183_999}));
    let previous = Credential {
        access_token: "SBXEAAlong0001".into(),
        access_expires_at_ms: SENT + 60 * DAY,
        ..Credential::default()
    };
    let refreshed = |token| Facebook.interpret(&answers(vec![reply(token)]), Some(&previous)).result;
    assert_eq!(refreshed("SBXEAAlong0002").ok().unwrap().access_token, "SBXEAAlong0002");
    assert_eq!(
        refreshed("SBXEAAlong0001").err().unwrap().class(),
        ErrorClass::NotExtended
    );
}

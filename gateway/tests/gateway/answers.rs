//! Answers that are served again: only while they are true, and only to those they were made for.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use http::StatusCode;
use proto::accounts::v1::{
    Account, GetVersionsRequest, GetVersionsResponse, ListAccountsRequest, ListAccountsResponse,
};
use proto::accounts::v1::{ReaderVersion, SummarizeAccountsResponse};
use proto::entitlements::v1::{GetWorkspaceVersionsRequest, GetWorkspaceVersionsResponse, WorkspaceVersion};

use crate::support::{Gateway, MEMBER, OWNER, samples};

const LIST: &str = "/api/v1/workspaces/acme/accounts";

/// Numbers that a test moves.
#[derive(Clone, Default)]
struct Versions {
    accounts: Arc<AtomicI64>,
    unread: Arc<AtomicI64>,
    plan: Arc<AtomicI64>,
}

/// A gateway whose services tell versions, and put theirs into the name of the one account.
async fn gateway() -> (Gateway, Versions) {
    let (gateway, versions) = (Gateway::start().await, Versions::default());
    let told = versions.clone();
    gateway.answers.on("GetVersions", move |asked: GetVersionsRequest| {
        let one = ReaderVersion {
            version: told.accounts.load(Ordering::SeqCst),
            unread_notifications: told.unread.load(Ordering::SeqCst),
        };
        Ok(GetVersionsResponse {
            versions: vec![one; asked.readers.len()],
        })
    });
    let told = versions.clone();
    gateway
        .answers
        .on("GetWorkspaceVersions", move |asked: GetWorkspaceVersionsRequest| {
            let version = told.plan.load(Ordering::SeqCst);
            let one = WorkspaceVersion {
                version,
                ..WorkspaceVersion::default()
            };
            Ok(GetWorkspaceVersionsResponse {
                versions: vec![one; asked.workspace_ids.len()],
            })
        });
    let now = versions.accounts.clone();
    gateway.answers.on("ListAccounts", move |asked: ListAccountsRequest| {
        let account = Account {
            display_name: format!("{} {}", asked.workspace_id, now.load(Ordering::SeqCst)),
            ..samples::account()
        };
        Ok(ListAccountsResponse {
            accounts: vec![account],
            ..ListAccountsResponse::default()
        })
    });
    gateway
        .answers
        .always("SummarizeAccounts", SummarizeAccountsResponse::default());
    (gateway, versions)
}

async fn name(gateway: &Gateway) -> String {
    let answer = gateway.get(LIST).by(OWNER).send().await;
    answer.json()["data"][0]["display_name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_list_is_made_once_while_nothing_changes_and_is_never_older_than_the_read() {
    let (gateway, versions) = gateway().await;
    assert_eq!(
        (name(&gateway).await, name(&gateway).await),
        ("acme 0".into(), "acme 0".into())
    );
    assert_eq!(gateway.answers.count("ListAccounts"), 1);
    versions.accounts.store(1, Ordering::SeqCst);
    assert_eq!(name(&gateway).await, "acme 1");
    assert_eq!(gateway.answers.count("ListAccounts"), 2);
}

#[tokio::test]
async fn a_change_between_asking_for_the_version_and_reading_is_read_anew_the_next_time() {
    let (gateway, versions) = gateway().await;
    let now = versions.accounts.clone();
    // The change comes right after the version was told.
    gateway.answers.on("GetVersions", move |_: GetVersionsRequest| {
        let version = now.fetch_add(1, Ordering::SeqCst);
        Ok(GetVersionsResponse {
            versions: vec![ReaderVersion {
                version,
                unread_notifications: 0,
            }],
        })
    });
    assert_eq!(name(&gateway).await, "acme 1");
    assert_eq!(name(&gateway).await, "acme 2");
}

#[tokio::test]
async fn c14_another_workspace_role_or_language_has_an_answer_of_its_own() {
    let (gateway, _) = gateway().await;
    let owners = gateway.get(LIST).by(OWNER).send().await;
    let members = gateway.get(LIST).by(MEMBER).send().await;
    let of = |answer: &crate::support::Answer| answer.json()["data"][0]["permitted_actions"].to_string();
    assert!(of(&owners).contains("disconnect") && !of(&members).contains("disconnect"));
    let other = gateway
        .get("/api/v1/workspaces/other/accounts")
        .by("Bearer dev.usr_1.other.owner")
        .send()
        .await;
    assert_eq!(other.json()["data"][0]["display_name"], "other 0");
    let filtered = gateway.get(&format!("{LIST}?status=healthy")).by(OWNER).send().await;
    assert_eq!(filtered.status, StatusCode::OK);
    assert_eq!(gateway.answers.count("ListAccounts"), 4);
    let page = |language: &'static str| {
        gateway
            .get("/connections")
            .by(OWNER)
            .header("accept-language", language)
            .send()
    };
    let (english, arabic) = (page("en").await, page("ar").await);
    assert!(english.body.contains("lang=\"en\"") && arabic.body.contains("lang=\"ar\""));
}

#[tokio::test]
async fn a_page_is_made_anew_when_accounts_notifications_or_the_plan_changed_and_when_it_grew_old() {
    let (gateway, versions) = gateway().await;
    let mut made = 1;
    for _ in 0..2 {
        assert_eq!(
            gateway.get("/connections").by(OWNER).send().await.status,
            StatusCode::OK
        );
        assert_eq!(gateway.answers.count("SummarizeAccounts"), made);
    }
    for number in [&versions.accounts, &versions.unread, &versions.plan] {
        number.store(1, Ordering::SeqCst);
        gateway.get("/connections").by(OWNER).send().await;
        made += 1;
        assert_eq!(gateway.answers.count("SummarizeAccounts"), made);
    }
    gateway.clock.advance(Duration::from_secs(31));
    gateway.get("/connections").by(OWNER).send().await;
    assert_eq!(
        gateway.answers.count("SummarizeAccounts"),
        made + 1,
        "\"3 min ago\" does not stand for ever"
    );
}

#[tokio::test]
async fn another_person_of_the_same_role_has_a_page_of_their_own() {
    let (gateway, _) = gateway().await;
    let page = |token: &'static str| gateway.get("/connections").by(token).send();
    let (first, second) = (
        page("Bearer dev.usr_one.acme.admin").await,
        page("Bearer dev.usr_two.acme.admin").await,
    );
    assert!(first.body.contains("usr_one") && !first.body.contains("usr_two"));
    assert!(second.body.contains("usr_two") && !second.body.contains("usr_one"));
}

#[tokio::test]
async fn without_versions_every_answer_is_made_anew() {
    let gateway = Gateway::start().await;
    samples::one_account(&gateway.answers);
    for made in 1..3 {
        assert_eq!(gateway.get(LIST).by(OWNER).send().await.status, StatusCode::OK);
        assert_eq!(gateway.answers.count("ListAccounts"), made);
    }
}

#[tokio::test]
async fn a_kept_answer_has_its_tag_and_comes_compressed_to_those_who_take_it() {
    let (gateway, _) = gateway().await;
    let plain = gateway.get(LIST).by(OWNER).send().await;
    let again = gateway
        .get(LIST)
        .by(OWNER)
        .header("if-none-match", plain.header("etag"))
        .send()
        .await;
    assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(gateway.answers.count("ListAccounts"), 1);
    let packed = gateway
        .get(LIST)
        .by(OWNER)
        .header("accept-encoding", "gzip, br")
        .open()
        .await;
    assert_eq!(packed.headers()["content-encoding"], "br");
    assert_eq!(packed.headers()["vary"], "accept-encoding");
    let bytes = axum::body::to_bytes(packed.into_body(), usize::MAX).await.unwrap();
    let mut text = Vec::new();
    brotli::BrotliDecompress(&mut &bytes[..], &mut text).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), plain.body);
}

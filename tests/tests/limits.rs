//! What every service refuses before it looks at it.

use anyhow::ensure;
use harness::{Api, Outcome, in_one_process};
use proto::accounts::v1::GetAccountRequest;
use proto::entitlements::v1::GetWorkspaceRequest;
use proto::platforms::v1::VerifyCallbackRequest;
use proto::tokens::v1::GetAccessTokenRequest;
use reqwest::Method;
use serde_json::json;
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn d01_a_message_beyond_256_kib_is_refused_by_every_service_and_the_connection_lives() -> Outcome {
    in_one_process(async |hub| {
        let (mut accounts, mut tokens) = (hub.accounts()?, hub.tokens(0)?);
        let (mut platforms, mut entitlements) = (hub.platforms()?, hub.entitlements()?);
        for (size, refused) in [(300 * 1024, true), (200 * 1024, false)] {
            let (text, body) = ("x".repeat(size), vec![0; size]);
            let account = GetAccountRequest {
                workspace_id: "bakery".to_owned(),
                account_id: text.clone(),
            };
            let token = GetAccessTokenRequest {
                workspace_id: "bakery".to_owned(),
                account_id: text.clone(),
                min_ttl: None,
            };
            let callback = VerifyCallbackRequest {
                source: "meta".to_owned(),
                body,
                ..VerifyCallbackRequest::default()
            };
            let workspace = GetWorkspaceRequest { workspace_id: text };
            for (service, status) in [
                ("accounts", accounts.get_account(account).await.err()),
                ("tokens", tokens.get_access_token(token).await.err()),
                ("platforms", platforms.verify_callback(callback).await.err()),
                ("entitlements", entitlements.get_workspace(workspace).await.err()),
            ] {
                let code = status.map(|status| status.code());
                ensure!(
                    (code == Some(Code::OutOfRange)) == refused,
                    "{service}, {size} bytes: {code:?}"
                );
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn d17_d18_ids_and_page_sizes_that_nobody_gave_out_are_clean_answers() -> Outcome {
    in_one_process(async |hub| {
        let owner = hub.owner("bakery");
        let ids = [
            "00000000-0000-0000-0000-000000000000",
            "ACC_01J0000000000000000000000A",
            "0",
            "-1",
            "9223372036854775808",
            "acc_%00",
            "..",
            "acc_1%2f..%2fme",
        ];
        for id in ids {
            for path in [
                format!("accounts/{id}"),
                format!("connect-sessions/{id}"),
                format!("webhook-endpoints/{id}"),
            ] {
                let answer = owner.get(&path).await?;
                // `..` is a path of its own before it is sent.
                ensure!(id == ".." || answer.status == 404, "{path}: {}", answer.status);
                ensure!(!answer.status.is_server_error(), "{path}: {}", answer.status);
            }
        }
        for limit in ["0", "-5", "1000000000", "99999999999999999999", "x", ""] {
            let answer = owner.get(&format!("accounts?limit={limit}")).await?;
            ensure!(
                answer.status == 200 || answer.status == 422,
                "{limit}: {}",
                answer.status
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn j7_p2_a_key_is_its_own_workspaces_and_twins_run_once() -> Outcome {
    in_one_process(async |hub| {
        let make = async |api: &Api| {
            let request = api
                .request(Method::POST, "webhook-endpoints")
                .header("Idempotency-Key", "the-same");
            api.send(request.json(&json!({ "url": "https://example.com/" }))).await
        };
        let (bakery, garage) = (hub.owner("bakery"), hub.owner("garage"));
        let twins = futures_util::future::join_all((0..20).map(|_| make(&bakery))).await;
        for twin in twins {
            let status = twin?.status;
            ensure!(status == 201 || status == 409, "{status}");
        }
        let (mine, theirs) = (make(&bakery).await?, make(&garage).await?);
        ensure!(mine.header("idempotency-replayed") == "true" && theirs.header("idempotency-replayed").is_empty());
        ensure!(mine.body["id"] != theirs.body["id"], "one answer for two workspaces");
        for api in [&bakery, &garage] {
            let made = api.get("webhook-endpoints").await?.ok()?;
            ensure!(made["data"].as_array().is_some_and(|all| all.len() == 1), "{made}");
        }
        Ok(())
    })
    .await
}

//! What every service refuses before it looks at it.

use anyhow::ensure;
use harness::{Outcome, in_one_process};
use proto::accounts::v1::GetAccountRequest;
use proto::entitlements::v1::GetWorkspaceRequest;
use proto::platforms::v1::VerifyCallbackRequest;
use proto::tokens::v1::GetAccessTokenRequest;
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

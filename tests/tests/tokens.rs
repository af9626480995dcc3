//! What other services of the product use: access tokens, rejected tokens and health, over gRPC.

use anyhow::{Context, ensure};
use futures_util::StreamExt as _;
use harness::{Outcome, each_form, eventually};
use proto::accounts::v1::{GetHealthRequest, Health, HealthStatus};
use proto::tokens::v1::{GetAccessTokenRequest, ReportRejectedRequest};
use serde_json::json;
use tonic::Code;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

#[tokio::test(flavor = "multi_thread")]
async fn any_grpc_client_finds_the_services_by_reflection() -> Outcome {
    each_form(async |hub| {
        for (port, service) in [
            (50051, "accounts"),
            (50052, "tokens"),
            (50053, "platforms"),
            (50054, "entitlements"),
        ] {
            let mut client = ServerReflectionClient::new(hub.connection(port)?);
            let ask = MessageRequest::ListServices(String::new());
            let request = ServerReflectionRequest {
                host: String::new(),
                message_request: Some(ask),
            };
            let requests = futures_util::stream::iter([request]);
            let mut answers = client.server_reflection_info(requests).await?.into_inner();
            let answer: ServerReflectionResponse = answers.next().await.context("no answer")??;
            let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
                anyhow::bail!("no list of services");
            };
            let wanted = format!("socializioz.{service}.v1.");
            ensure!(
                list.service.iter().any(|one| one.name.starts_with(&wanted)),
                "{port}: {list:?}"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_workspace_looks_as_if_it_did_not_exist() -> Outcome {
    each_form(async |hub| {
        let id = hub
            .owner("antiques")
            .connect_one(&hub.sandbox, "facebook", "enid")
            .await?;
        let ask = async |workspace: &str, account: &str| {
            let (workspace_id, account_id) = (workspace.to_owned(), account.to_owned());
            let request = GetAccessTokenRequest {
                workspace_id,
                account_id,
                min_ttl: None,
            };
            anyhow::Ok(
                hub.tokens(0)?
                    .get_access_token(request)
                    .await
                    .map(|answer| answer.into_inner().access_token),
            )
        };
        ensure!(ask("antiques", &id).await?.is_ok());
        let Err(foreign) = ask("thieves", &id).await? else {
            anyhow::bail!("handed to another workspace")
        };
        let Err(unknown) = ask("thieves", "acc_01JD0000000000000000000000").await? else {
            anyhow::bail!("handed out")
        };
        ensure!(foreign.code() == Code::NotFound, "{foreign:?}");
        ensure!(foreign.message() == unknown.message() && foreign.details() == unknown.details());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reported_token_turns_the_account_amber_only_on_proof() -> Outcome {
    each_form(async |hub| {
        hub.plan("bakery", "professional").await?;
        let owner = hub.owner("bakery");
        let id = owner.connect_one(&hub.sandbox, "x", "ada").await?;
        let report = ReportRejectedRequest {
            workspace_id: "bakery".to_owned(),
            account_id: id.clone(),
            generation: 1,
            error: "401".to_owned(),
        };
        hub.tokens(0)?.report_rejected(report.clone()).await?;
        ensure!(
            owner.health(&id).await? == "healthy",
            "a mere report turned the account amber"
        );
        let mut events = owner.events(None).await?;
        hub.sandbox.act("x", "ada", json!({"kind": "revoke"})).await?;
        let request = GetAccessTokenRequest {
            workspace_id: "bakery".to_owned(),
            account_id: id.clone(),
            min_ttl: None,
        };
        let generation = hub
            .tokens(0)?
            .get_access_token(request.clone())
            .await?
            .into_inner()
            .generation;
        hub.tokens(0)?
            .report_rejected(ReportRejectedRequest { generation, ..report })
            .await?;
        let required = events.named("account.reconnect_required").await?;
        ensure!(
            required.data["toast"]["text"] == "Please reconnect Ada Sandbox",
            "{required:?}"
        );
        ensure!(owner.health(&id).await? == "access_revoked");
        let dead = eventually("the dead token is refused", async || {
            Ok(hub.tokens(0)?.get_access_token(request.clone()).await.err())
        })
        .await?;
        ensure!(dead.code() == Code::FailedPrecondition, "{dead:?}");
        // The word that health shows for it.
        let failure = kit::Failure::from_status(&dead);
        ensure!(failure.params["reason"] == "access_revoked", "{failure:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_asks_for_the_health_of_many_accounts_at_once() -> Outcome {
    each_form(async |hub| {
        hub.plan("bakery", "professional").await?;
        let owner = hub.owner("bakery");
        let accounts = owner.connect(&hub.sandbox, "linkedin", "ada").await?;
        let account_ids: Vec<String> = accounts
            .iter()
            .filter_map(|one| one["id"].as_str().map(str::to_owned))
            .collect();
        let request = GetHealthRequest {
            workspace_id: "bakery".to_owned(),
            account_ids: account_ids.clone(),
        };
        let answer = hub.accounts()?.get_health(request).await?.into_inner();
        ensure!(answer.accounts.len() == 3, "{answer:?}");
        let healthy = |status: Option<HealthStatus>| status == Some(HealthStatus::Healthy);
        ensure!(
            answer
                .accounts
                .iter()
                .all(|one| healthy(one.health.as_ref().map(Health::status)))
        );
        ensure!(answer.accounts.iter().all(|one| one.can_publish), "{answer:?}");
        let foreign = GetHealthRequest {
            workspace_id: "thieves".to_owned(),
            account_ids,
        };
        let refused = hub.accounts()?.get_health(foreign).await;
        ensure!(refused.is_err_and(|status| status.code() == Code::NotFound));
        Ok(())
    })
    .await
}

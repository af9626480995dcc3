//! Disconnecting: tokens destroyed and revoked, posts and history kept, the same id on return.

use anyhow::ensure;
use harness::{Cluster, Consent, Outcome, each_form, eventually};
use proto::tokens::v1::GetAccessTokenRequest;
use serde_json::json;

async fn token(hub: &Cluster, workspace: &str, id: &str) -> Result<String, tonic::Status> {
    let request = GetAccessTokenRequest {
        workspace_id: workspace.to_owned(),
        account_id: id.to_owned(),
        min_ttl: None,
    };
    let mut tokens = hub
        .tokens(0)
        .map_err(|error| tonic::Status::internal(error.to_string()))?;
    Ok(tokens.get_access_token(request).await?.into_inner().access_token)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnected_account_has_no_token_anywhere() -> Outcome {
    each_form(async |hub| {
        hub.plan("bakery", "professional").await?;
        let owner = hub.owner("bakery");
        for platform in ["x", "tiktok"] {
            let id = owner.connect_one(&hub.sandbox, platform, "ada").await?;
            token(hub, "bakery", &id).await?;
            ensure!(owner.delete(&format!("accounts/{id}")).await?.status == 204);
            ensure!(
                owner.delete(&format!("accounts/{id}")).await?.status == 204,
                "a second disconnect is no error"
            );
            // No replica hands the token out for longer than a second after it.
            eventually("every replica refuses", async || {
                Ok(token(hub, "bakery", &id).await.is_err().then_some(()))
            })
            .await?;
            eventually("the platform revoked it", async || {
                Ok(hub.sandbox.live_tokens(platform, "ada").await?.is_empty().then_some(()))
            })
            .await?;
            ensure!(owner.account(&id).await?["status"] == "disconnected");
        }
        ensure!(owner.accounts().await?.is_empty());
        let gone = owner.get("accounts?status=disconnected").await?.ok()?;
        ensure!(gone["data"].as_array().is_some_and(|all| all.len() == 2), "{gone}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn connecting_it_again_gives_back_the_same_id_with_its_history() -> Outcome {
    each_form(async |hub| {
        let owner = hub.owner("antiques");
        let first = owner.connect_one(&hub.sandbox, "facebook", "enid").await?;
        ensure!(owner.delete(&format!("accounts/{first}")).await?.status == 204);
        let second = owner.connect_one(&hub.sandbox, "facebook", "enid").await?;
        ensure!(first == second, "{first} became {second}");
        ensure!(owner.health(&second).await? == "healthy");
        token(hub, "antiques", &second).await?;
        let history = owner
            .get(&format!("accounts/{second}/history"))
            .await?
            .ok()?
            .to_string();
        ensure!(history.contains("account.disconnected"), "{history}");
        ensure!(history.matches("account.connected").count() >= 2, "{history}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_share_a_sign_in_are_revoked_with_the_last_of_them() -> Outcome {
    each_form(async |hub| {
        hub.plan("bakery", "starter").await?;
        let owner = hub.owner("bakery");
        let pages = owner.connect(&hub.sandbox, "facebook", "ada").await?;
        let ids: Vec<&str> = pages.iter().filter_map(|page| page["id"].as_str()).collect();
        ensure!(ids.len() == 2);
        ensure!(owner.delete(&format!("accounts/{}", ids[0])).await?.status == 204);
        ensure!(owner.account(ids[0]).await?["revocation"] == "shared");
        token(hub, "bakery", ids[1]).await?;
        ensure!(
            !hub.sandbox.live_tokens("facebook", "ada").await?.is_empty(),
            "the other Page lost its access"
        );
        ensure!(owner.delete(&format!("accounts/{}", ids[1])).await?.status == 204);
        eventually("the grant is revoked", async || {
            Ok(hub
                .sandbox
                .live_tokens("facebook", "ada")
                .await?
                .is_empty()
                .then_some(()))
        })
        .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnecting_in_one_workspace_never_breaks_another() -> Outcome {
    each_form(async |hub| {
        for (platform, person) in [("x", "ada"), ("facebook", "enid")] {
            let mut ids = Vec::new();
            for workspace in ["left", "right"] {
                hub.plan(workspace, "professional").await?;
                ids.push(hub.owner(workspace).connect_one(&hub.sandbox, platform, person).await?);
            }
            ensure!(hub.owner("left").delete(&format!("accounts/{}", ids[0])).await?.status == 204);
            eventually("the left one is refused", async || {
                Ok(token(hub, "left", &ids[0]).await.is_err().then_some(()))
            })
            .await?;
            let kept = token(hub, "right", &ids[1]).await?;
            let live = hub.sandbox.live_tokens(platform, person).await?;
            let works = live
                .iter()
                .any(|one| one["fingerprint"] == harness::Sandbox::fingerprint(&kept).as_str());
            ensure!(works, "{platform}: the right workspace's token no longer works");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_stay_readable_after_a_disconnect() -> Outcome {
    each_form(async |hub| {
        let owner = hub.owner("antiques");
        let id = owner.connect_one(&hub.sandbox, "facebook", "enid").await?;
        let posts = format!("accounts/{id}/posts");
        let before = owner.get(&posts).await?.ok()?;
        ensure!(before["data"].is_array(), "{before}");
        ensure!(owner.delete(&format!("accounts/{id}")).await?.status == 204);
        let after = owner.get(&posts).await?.ok()?;
        ensure!(after["data"].is_array(), "{after}");
        let flow = owner.begin("facebook", &json!({})).await?;
        flow.consent(&hub.sandbox, &Consent::of("enid")).await?;
        ensure!(flow.settled().await?["result"]["accounts"][0]["id"] == id.as_str());
        Ok(())
    })
    .await
}

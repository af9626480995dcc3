//! Reconnecting: the same id, green only with every required permission, nobody else's sign-in.

use anyhow::{Context, ensure};
use harness::{Api, Cluster, Consent, Outcome, each_form};
use serde_json::json;

/// A Page of Enid's without the permission to publish; its id.
async fn amber_page(hub: &Cluster, owner: &Api) -> anyhow::Result<String> {
    let kept = vec![
        "pages_show_list",
        "pages_read_engagement",
        "business_management",
        "read_insights",
    ];
    let consent = Consent {
        permissions: Some(kept),
        destinations: None,
        person: "enid",
    };
    let accounts = owner
        .connect_with(&hub.sandbox, "facebook", &json!({}), &consent)
        .await?;
    Ok(accounts[0]["id"].as_str().context("no id")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn reconnecting_keeps_the_id_and_turns_green_with_all_permissions() -> Outcome {
    each_form(async |hub| {
        let owner = hub.owner("antiques");
        let id = amber_page(hub, &owner).await?;
        ensure!(owner.health(&id).await? == "permission_missing");
        // The plan's only slot is taken: reconnecting does not count against it.
        let again = json!({"intent": "reconnect", "account_ids": [id]});
        let accounts = owner
            .connect_with(&hub.sandbox, "facebook", &again, &Consent::of("enid"))
            .await?;
        ensure!(accounts.len() == 1 && accounts[0]["id"] == id.as_str(), "{accounts:?}");
        ensure!(owner.health(&id).await? == "healthy");
        ensure!(owner.account(&id).await?["publish_capability"]["can_publish"] == true);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn reconnecting_without_the_permission_stays_amber() -> Outcome {
    each_form(async |hub| {
        let owner = hub.owner("antiques");
        let id = amber_page(hub, &owner).await?;
        let kept = vec![
            "pages_show_list",
            "pages_read_engagement",
            "business_management",
            "read_insights",
        ];
        let consent = Consent {
            permissions: Some(kept),
            destinations: None,
            person: "enid",
        };
        let again = json!({"intent": "reconnect", "account_ids": [id]});
        let flow = owner.begin("facebook", &again).await?;
        flow.consent(&hub.sandbox, &consent).await?;
        flow.settled().await?;
        ensure!(owner.health(&id).await? == "permission_missing");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_as_somebody_else_is_refused_with_both_names() -> Outcome {
    each_form(async |hub| {
        hub.plan("bakery", "professional").await?;
        let owner = hub.owner("bakery");
        let id = owner.connect_one(&hub.sandbox, "x", "ada").await?;
        let before = owner.account(&id).await?;
        let flow = owner
            .begin("x", &json!({"intent": "reconnect", "account_ids": [id]}))
            .await?;
        flow.consent(&hub.sandbox, &Consent::of("cleo")).await?;
        let session = flow.settled().await?;
        let problem = &session["result"]["problem"];
        ensure!(
            session["status"] == "failed" && problem["code"] == "wrong-platform-account",
            "{session}"
        );
        ensure!(
            problem["expected"] == "Ada Sandbox" || problem.to_string().contains("sandboxbakery"),
            "{problem}"
        );
        ensure!(
            problem.to_string().contains("Cleo") || problem.to_string().contains("cleo"),
            "{problem}"
        );
        ensure!(owner.account(&id).await?["display_name"] == before["display_name"]);
        ensure!(owner.health(&id).await? == "healthy");
        ensure!(owner.accounts().await?.len() == 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn members_cannot_reconnect() -> Outcome {
    each_form(async |hub| {
        let owner = hub.owner("antiques");
        let id = amber_page(hub, &owner).await?;
        let member = hub.api("usr_member", "antiques", "member");
        let again = json!({"intent": "reconnect", "account_ids": [id]});
        member
            .try_begin("facebook", &again)
            .await?
            .problem(403, "forbidden-role")?;
        member
            .delete(&format!("accounts/{id}"))
            .await?
            .problem(403, "forbidden-role")?;
        ensure!(
            member.account(&id).await?["permitted_actions"]
                .to_string()
                .contains("request_reconnect")
        );
        Ok(())
    })
    .await
}

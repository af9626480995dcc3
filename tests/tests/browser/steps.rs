//! What many tests do first, or again and again: accounts in a state, consent at a platform's page, time that passes.

use std::time::Duration;

use anyhow::Context;
use harness::{Api, Cluster, Consent, Outcome, Tab, eventually};
use proto::tokens::v1::InspectRequest;
use serde_json::json;

/// Everything but the permission to publish.
const READS: [&str; 4] = [
    "pages_show_list",
    "pages_read_engagement",
    "business_management",
    "read_insights",
];

/// Waits until what happens is told to a page: by its own stream, or by the tab that reads it for all.
pub(super) async fn live(page: &Tab) -> Outcome {
    let told = "(async () => {
        const events = document.querySelector('sz-events');
        if (events?.source) return events.source.readyState === EventSource.OPEN;
        return (await navigator.locks.query()).held.some((lock) => lock.name.startsWith('sz-events'));
    })()";
    page.until(told).await.map(drop)
}

/// The name of Enid's Page.
pub(super) const PAGE: &str = "Oldfield Antiques";

/// Enid's Facebook Page, healthy; its id.
pub(super) async fn green_page(hub: &Cluster, owner: &Api) -> anyhow::Result<String> {
    owner.connect_one(&hub.sandbox, "facebook", "enid").await
}

/// Enid's Facebook Page without the permission to publish; its id.
pub(super) async fn amber_page(hub: &Cluster, owner: &Api) -> anyhow::Result<String> {
    let consent = Consent {
        person: "enid",
        permissions: Some(READS.into()),
        destinations: None,
    };
    let accounts = owner
        .connect_with(&hub.sandbox, "facebook", &json!({}), &consent)
        .await?;
    Ok(accounts[0]["id"].as_str().context("no id")?.to_owned())
}

/// When tokens means to refresh next. Unix milliseconds.
async fn next_refresh_ms(hub: &Cluster, workspace: &str, id: &str) -> anyhow::Result<i64> {
    let request = InspectRequest {
        workspace_id: workspace.to_owned(),
        account_id: id.to_owned(),
    };
    let found = hub.tokens(0)?.inspect(request).await?.into_inner();
    Ok(found.grant.context("no grant")?.next_refresh_at_ms)
}

/// Lets time pass until Facebook was asked for one more refresh, and the answer is settled.
pub(super) async fn next_refresh(hub: &Cluster, owner: &Api, id: &str) -> Outcome {
    let before = hub.sandbox.requests("facebook", "refresh").await?.len();
    let next = next_refresh_ms(hub, owner.workspace(), id).await?;
    let wait = u64::try_from(next - hub.now_ms()?).unwrap_or_default() + 1000;
    hub.advance(Duration::from_millis(wait)).await?;
    eventually("a refresh is tried", async || {
        // The sweep looks once in its interval.
        hub.advance(Duration::from_secs(30)).await?;
        Ok((hub.sandbox.requests("facebook", "refresh").await?.len() > before).then_some(()))
    })
    .await?;
    eventually("the attempt is over", async || {
        Ok((next_refresh_ms(hub, owner.workspace(), id).await? != next).then_some(()))
    })
    .await
}

/// One account on each of the five platforms; their ids in the catalogue's order.
pub(super) async fn five(hub: &Cluster, workspace: &str) -> anyhow::Result<Vec<String>> {
    hub.plan(workspace, "professional").await?;
    let owner = hub.owner(workspace);
    let mut ids = Vec::new();
    for (platform, person) in [
        ("facebook", "enid"),
        ("instagram", "ada"),
        ("tiktok", "ada"),
        ("x", "ada"),
        ("linkedin", "finn"),
    ] {
        ids.push(
            owner
                .connect_one(&hub.sandbox, platform, person)
                .await
                .context(platform)?,
        );
    }
    Ok(ids)
}

/// A person answers the consent page: who they are, which permissions they untick, and Allow.
pub(super) async fn allow(page: &Tab, person: &str, without: &[&str]) -> Outcome {
    page.see("h1", "Sandbox").await?;
    page.press(&format!("label:has(#person-{person})"), "").await?;
    for permission in without {
        page.press("label:has([name=permission])", permission).await?;
    }
    page.press("button", "Allow").await
}

/// Has an account checked at its platform, as often as a test likes.
pub(super) async fn recheck(hub: &Cluster, owner: &Api, id: &str) -> Outcome {
    // A check within ten seconds of the last one is not made.
    hub.advance(Duration::from_secs(11)).await?;
    owner.check(id).await?.ok().map(drop)
}

/// The card of an account.
pub(super) fn card(id: &str) -> String {
    format!("#card-{id}")
}

/// A part of the card of an account.
pub(super) fn on_card(id: &str, css: &str) -> String {
    format!("#card-{id} {css}")
}

/// Something is scheduled to be published through an account.
pub(super) async fn schedule(hub: &Cluster, workspace: &str, id: &str, count: i64, next_at_ms: i64) -> Outcome {
    let request = proto::accounts::v1::SetScheduledPostsRequest {
        workspace_id: workspace.to_owned(),
        account_id: id.to_owned(),
        scheduled: Some(proto::accounts::v1::ScheduledPosts { count, next_at_ms }),
    };
    hub.accounts()?.set_scheduled_posts(request).await?;
    Ok(())
}

//! Rotating refresh tokens (X, TikTok): renewed when somebody needs one, once, and never spent twice.

use std::collections::BTreeMap;

use anyhow::ensure;
use futures_util::future::join_all;
use harness::{Cluster, Outcome, Sandbox, each_form};
use serde_json::{Value, json};

use crate::access::{grows_old, short_lives, token};

/// Every refresh token was sent while it was alive, and to one success at most: the sandbox's log is the truth.
async fn never_spent_twice(hub: &Cluster, platform: &str) -> anyhow::Result<()> {
    let mut spent: BTreeMap<String, usize> = BTreeMap::new();
    for request in hub.sandbox.requests(platform, "refresh").await? {
        ensure!(
            request["token_was_dead"] == false,
            "a dead refresh token was sent: {request}"
        );
        ensure!(
            request["in_flight"] == 1,
            "two refreshes of one token at once: {request}"
        );
        if request["status"] == 200 {
            *spent.entry(request["token"]["fingerprint"].to_string()).or_default() += 1;
        }
    }
    ensure!(spent.values().all(|times| *times == 1), "spent twice: {spent:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_callers_on_two_replicas_share_one_renewal() -> Outcome {
    each_form(async |hub| {
        hub.plan("bakery", "professional").await?;
        let owner = hub.owner("bakery");
        for platform in ["x", "tiktok"] {
            short_lives(hub, platform).await?;
            let id = owner.connect_one(&hub.sandbox, platform, "ada").await?;
            grows_old(hub, &id).await?;
            let answers = join_all((0..50).map(|n| token(hub, n % 2, &id))).await;
            let tokens = answers.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
            let first = &tokens[0];
            ensure!(
                tokens.iter().all(|one| one.access_token == first.access_token),
                "{platform}: different tokens"
            );
            ensure!(
                tokens.iter().all(|one| one.generation == 2),
                "{platform}: generation {}",
                first.generation
            );
            let calls = hub.sandbox.requests(platform, "refresh").await?;
            ensure!(calls.len() == 1, "{platform}: {} renewals", calls.len());
            let live = hub.sandbox.live_tokens(platform, "ada").await?;
            let fingerprint = Sandbox::fingerprint(&first.access_token);
            ensure!(
                live.iter().any(|one| one["fingerprint"] == fingerprint.as_str()),
                "{platform}: it does not work"
            );
            never_spent_twice(hub, platform).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_token_is_handed_out_without_asking_the_platform() -> Outcome {
    each_form(async |hub| {
        hub.plan("bakery", "professional").await?;
        let id = hub.owner("bakery").connect_one(&hub.sandbox, "x", "ada").await?;
        let (first, second) = (token(hub, 0, &id).await?, token(hub, 1, &id).await?);
        ensure!(first.access_token == second.access_token && first.generation == 1);
        ensure!(first.token_type.eq_ignore_ascii_case("bearer"), "{}", first.token_type);
        ensure!(first.expires_at.is_some());
        ensure!(
            first.scopes.iter().any(|scope| scope == "tweet.write"),
            "{:?}",
            first.scopes
        );
        ensure!(hub.sandbox.requests("x", "refresh").await?.is_empty());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_token_that_still_works_is_handed_out_during_an_outage() -> Outcome {
    each_form(async |hub| {
        hub.plan("bakery", "professional").await?;
        short_lives(hub, "x").await?;
        let id = hub.owner("bakery").connect_one(&hub.sandbox, "x", "ada").await?;
        let down = json!({"platform": "x", "operation": "refresh", "effect": {"kind": "server_error", "status": 503}});
        let switch = hub.sandbox.switch(&down).await?;
        grows_old(hub, &id).await?;
        let stored = token(hub, 0, &id).await?;
        ensure!(stored.generation == 1, "not the stored token");
        ensure!(
            hub.owner("bakery").health(&id).await? == "healthy",
            "an outage turned the account amber (switch {switch})"
        );
        never_spent_twice(hub, "x").await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn h19_a_chain_of_renewals_with_trouble_on_the_way_gives_a_strict_platform_no_reason_to_end_it() -> Outcome {
    each_form(async |hub| {
        hub.plan("bakery", "professional").await?;
        let short = json!({"kind": "lifetimes", "access_seconds": 60});
        hub.sandbox.switch(&json!({"platform": "x", "effect": short})).await?;
        let strict = json!({"kind": "family_revoke"});
        hub.sandbox.switch(&json!({"platform": "x", "effect": strict})).await?;
        let id = hub.owner("bakery").connect_one(&hub.sandbox, "x", "ada").await?;
        let troubles: [Value; 3] = [
            json!({"kind": "delay", "ms": 300, "when": "after"}),
            json!({"kind": "edit_reply", "set": {"unknown": {"nested": []}}}),
            json!({"kind": "body", "with": "bom"}),
        ];
        for trouble in troubles {
            let order = json!({"platform": "x", "operation": "refresh", "next": 1, "effect": trouble});
            hub.sandbox.switch(&order).await?;
            let before = token(hub, 0, &id).await?.generation;
            grows_old(hub, &id).await?;
            let answers = join_all((0..10).map(|n| token(hub, n % 2, &id))).await;
            ensure!(
                answers.iter().all(Result::is_ok),
                "{trouble}: {:?}",
                answers.iter().find_map(|one| one.as_ref().err())
            );
            ensure!(
                token(hub, 1, &id).await?.generation > before,
                "{trouble}: nothing was renewed"
            );
        }
        never_spent_twice(hub, "x").await?;
        ensure!(hub.owner("bakery").health(&id).await? == "healthy");
        Ok(())
    })
    .await
}

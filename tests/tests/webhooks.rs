//! Outgoing webhooks, to a receiver that takes them, fails, is silent, or leads elsewhere.

use std::time::Duration;

use anyhow::{Context, ensure};
use harness::{Api, Cluster, Outcome, Receiver, Reply, each_form, eventually, in_one_process, separate_processes};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(3600);

/// An endpoint's path in the API, and its secret.
async fn endpoint(owner: &Api, url: String, types: &[&str]) -> anyhow::Result<(String, String)> {
    let body = json!({ "url": url, "event_types": types });
    let made = owner.post("webhook-endpoints", body).await?.ok()?;
    let secret = made["secret"].as_str().context("no secret")?.to_owned();
    Ok((
        format!("webhook-endpoints/{}", made["id"].as_str().context("no id")?),
        secret,
    ))
}

async fn delivery(owner: &Api, endpoint: &str, status: &str) -> anyhow::Result<Value> {
    let path = format!("{endpoint}/deliveries?status={status}");
    eventually(&format!("a delivery is {status}"), async || {
        let list = owner.get(&path).await?.ok()?;
        Ok(list["data"].as_array().and_then(|all| all.first().cloned()))
    })
    .await
}

/// Longer than the time until each next try.
const WAITS: [u64; 11] = [10, 60, 300, 900, 2700, 5400, 10_800, 18_000, 36_000, 37_800, 0];

/// Lets all tries of a ping fail, and the day pass that they take; the dead delivery.
async fn exhaust(hub: &Cluster, owner: &Api, endpoint: &str) -> anyhow::Result<Value> {
    owner.post(&format!("{endpoint}/pings"), json!({})).await?.ok()?;
    for (n, wait) in WAITS.into_iter().enumerate() {
        let path = format!("{endpoint}/deliveries?limit=1");
        eventually(&format!("try {} has failed", n + 1), async || {
            let newest = &owner.get(&path).await?.ok()?["data"][0];
            Ok((newest["attempts"] == n + 1).then_some(()))
        })
        .await?;
        hub.advance(Duration::from_secs(wait)).await?;
    }
    delivery(owner, endpoint, "dead").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspaces_events_come_signed_and_in_order() -> Outcome {
    each_form(async |hub| {
        hub.plan("bakery", "professional").await?;
        let (owner, receiver) = (hub.owner("bakery"), Receiver::start().await?);
        let (path, secret) = endpoint(&owner, receiver.url("hook"), &[]).await?;
        let id = owner.connect_one(&hub.sandbox, "x", "ada").await?;
        ensure!(owner.delete(&format!("accounts/{id}")).await?.status == 204);
        receiver.of_type("account.disconnected", 1).await?;
        let received = receiver.received();
        for one in &received {
            one.verify(&secret)?;
            ensure!(
                one.id.starts_with("msg_") && one.body["workspace_id"] == "bakery",
                "{one:?}"
            );
        }
        let numbers: Vec<_> = received
            .iter()
            .filter_map(|one| one.body["event_id"].as_i64())
            .collect();
        ensure!(numbers.is_sorted() && numbers.len() == received.len(), "{numbers:?}");
        let connected = &received[0].body;
        ensure!(
            connected["type"] == "account.connected" && connected["data"]["account_id"] == id.as_str(),
            "{connected}"
        );
        let shown = owner.get(&path).await?.ok()?;
        ensure!(
            shown["last_success_at"].is_string() && shown.get("secret").is_none(),
            "{shown}"
        );
        // Only what an endpoint listens to is sent to it.
        let (narrow, _) = endpoint(&owner, receiver.url("narrow"), &["account.disconnected"]).await?;
        owner.connect_one(&hub.sandbox, "x", "ada").await?;
        receiver.of_type("account.connected", 2).await?;
        let none = owner.get(&format!("{narrow}/deliveries")).await?.ok()?;
        ensure!(none["data"] == json!([]), "{none}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_not_taken_comes_again_under_its_id() -> Outcome {
    in_one_process(async |hub| {
        let (owner, receiver) = (hub.owner("bakery"), Receiver::start().await?);
        let (path, secret) = endpoint(&owner, receiver.url("hook"), &[]).await?;
        receiver.next([Reply::Status(500), Reply::Elsewhere, Reply::Status(503)]);
        owner.post(&format!("{path}/pings"), json!({})).await?.ok()?;
        for (n, wait) in WAITS.into_iter().take(3).enumerate() {
            let path = format!("{path}/deliveries?limit=1");
            eventually(&format!("try {} is settled", n + 1), async || {
                let newest = &owner.get(&path).await?.ok()?["data"][0];
                Ok((newest["attempts"] == n + 1).then_some(()))
            })
            .await?;
            hub.advance(Duration::from_secs(wait)).await?;
        }
        let delivered = delivery(&owner, &path, "delivered").await?;
        let received = receiver.received();
        ensure!(
            delivered["attempts"] == 4 && delivered["last_status"] == 204,
            "{delivered}"
        );
        ensure!(received.len() == 4, "{received:?}");
        for one in &received {
            one.verify(&secret)?;
            ensure!(
                one.id == delivered["id"].as_str().unwrap_or_default(),
                "another id: {one:?}"
            );
            ensure!(one.path == "hook", "a redirect was followed");
        }
        ensure!(received[3].timestamp > received[0].timestamp, "signed for another time");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_nobody_takes_for_a_day_is_dead_and_can_be_sent_again() -> Outcome {
    in_one_process(async |hub| {
        let (owner, receiver) = (hub.owner("bakery"), Receiver::start().await?);
        let (path, secret) = endpoint(&owner, receiver.url("hook"), &[]).await?;
        receiver.usually(Reply::Status(500));
        let dead = exhaust(hub, &owner, &path).await?;
        ensure!(dead["attempts"] == 11 && dead["last_status"] == 500, "{dead}");
        ensure!(receiver.received().len() == 11);
        let failing = owner.get(&path).await?.ok()?;
        ensure!(failing["failing_since"].is_string(), "{failing}");
        receiver.usually(Reply::Status(200));
        let id = dead["id"].as_str().context("no id")?;
        let replay = owner
            .post(&format!("{path}/deliveries/{id}/replays"), json!({}))
            .await?;
        ensure!(replay.status == 202, "{replay:?}");
        let delivered = delivery(&owner, &path, "delivered").await?;
        ensure!(
            delivered["id"] == dead["id"] && delivered["attempts"] == 1,
            "{delivered}"
        );
        receiver.received()[11].verify(&secret)?;
        ensure!(owner.get(&path).await?.ok()?["failing_since"].is_null());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_on_its_way_when_accounts_was_killed_comes_again() -> Outcome {
    separate_processes(async |hub, processes| {
        let (owner, receiver) = (hub.owner("bakery"), Receiver::start().await?);
        let (path, secret) = endpoint(&owner, receiver.url("hook"), &["account.connected"]).await?;
        receiver.next([Reply::Silence]);
        owner.connect_one(&hub.sandbox, "facebook", "enid").await?;
        let first = receiver.of_type("account.connected", 1).await?;
        processes.kill("accounts-0")?;
        processes.start_member("accounts", 0)?;
        processes.ready("accounts", 0).await?;
        let both = receiver.of_type("account.connected", 2).await?;
        both[1].verify(&secret)?;
        ensure!(both[1].id == first[0].id && both[1].raw == first[0].raw, "{both:?}");
        delivery(&owner, &path, "delivered").await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_receiver_holds_up_nobody_else() -> Outcome {
    in_one_process(async |hub| {
        let (owner, silent, other) = (hub.owner("bakery"), Receiver::start().await?, Receiver::start().await?);
        silent.usually(Reply::Silence);
        let (hangs, _) = endpoint(&owner, silent.url("hook"), &[]).await?;
        let (works, _) = endpoint(&owner, other.url("hook"), &[]).await?;
        for _ in 0..3 {
            owner.post(&format!("{hangs}/pings"), json!({})).await?.ok()?;
        }
        silent.of_type("ping", 1).await?;
        owner.post(&format!("{works}/pings"), json!({})).await?.ok()?;
        other.of_type("ping", 1).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_or_takes_nothing_for_days_is_given_up_and_that_is_told() -> Outcome {
    in_one_process(async |hub| {
        let (owner, receiver) = (hub.owner("bakery"), Receiver::start().await?);
        let (gone, _) = endpoint(&owner, receiver.url("gone"), &[]).await?;
        let (witness, _) = endpoint(&owner, receiver.url("witness"), &["webhook_endpoint.given_up"]).await?;
        receiver.next([Reply::Status(410)]);
        owner.post(&format!("{gone}/pings"), json!({})).await?.ok()?;
        receiver.of_type("webhook_endpoint.given_up", 1).await?;
        ensure!(owner.get(&gone).await?.ok()?["status"] == "given_up");
        // What takes nothing for five days.
        receiver.usually(Reply::Status(500));
        exhaust(hub, &owner, &witness).await?;
        hub.advance(6 * 24 * HOUR).await?;
        owner.post(&format!("{witness}/pings"), json!({})).await?.ok()?;
        eventually("it is given up", async || {
            Ok((owner.get(&witness).await?.ok()?["status"] == "given_up").then_some(()))
        })
        .await?;
        // A person may try anew.
        let again = json!({ "url": receiver.url("witness"), "enabled": true });
        ensure!(owner.put(&witness, again).await?.ok()?["status"] == "enabled");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_signs_beside_the_old_one_for_a_day() -> Outcome {
    in_one_process(async |hub| {
        let (owner, receiver) = (hub.owner("bakery"), Receiver::start().await?);
        let (path, old) = endpoint(&owner, receiver.url("hook"), &[]).await?;
        let rotated = owner.post(&format!("{path}/secret-rotations"), json!({})).await?.ok()?;
        let new = rotated["secret"].as_str().context("no secret")?;
        ensure!(new != old && rotated["former_secret_until"].is_string(), "{rotated}");
        owner.post(&format!("{path}/pings"), json!({})).await?.ok()?;
        let both = receiver.of_type("ping", 1).await?;
        both[0].verify(&old)?;
        both[0].verify(new)?;
        hub.advance(25 * HOUR).await?;
        owner.post(&format!("{path}/pings"), json!({})).await?.ok()?;
        let later = &receiver.of_type("ping", 2).await?[1];
        later.verify(new)?;
        ensure!(later.verify(&old).is_err() && later.signatures.len() == 1, "{later:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn e1_an_address_inside_or_without_https_is_no_endpoint() -> Outcome {
    in_one_process(async |hub| {
        let owner = hub.owner("bakery");
        for url in [
            "http://example.com/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest",
            "https://[::ffff:10.0.0.1]/",
            "https://user:pw@example.com/",
            "https://2130706433.0/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "no address",
            "",
        ] {
            let answer = owner.post("webhook-endpoints", json!({ "url": url })).await?;
            ensure!(
                answer.status == 422 && answer.text.contains("/url"),
                "{url}: {answer:?}"
            );
        }
        let unknown = json!({ "url": "https://example.com/", "event_types": ["account.deleted"] });
        ensure!(owner.post("webhook-endpoints", unknown).await?.status == 422);
        for _ in 0..20 {
            endpoint(&owner, "https://example.com/".to_owned(), &[]).await?;
        }
        let more = owner
            .post("webhook-endpoints", json!({ "url": "https://example.com/" }))
            .await?;
        ensure!(more.status == 422, "a workspace has any number of endpoints: {more:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_c5_endpoints_are_their_own_workspaces_and_its_admins_alone() -> Outcome {
    in_one_process(async |hub| {
        let owner = hub.owner("bakery");
        let (path, _) = endpoint(&owner, "https://example.com/".to_owned(), &[]).await?;
        let member = hub.api("usr_m", "bakery", "member");
        let stranger = hub.owner("garage");
        let unknown = format!("{}x", &path[..path.len() - 1]);
        for (verb, rest) in [
            ("GET", ""),
            ("DELETE", ""),
            ("GET", "/deliveries"),
            ("POST", "/pings"),
            ("POST", "/secret-rotations"),
        ] {
            let ask = async |api: &Api, path: &str| {
                let request = api
                    .request(verb.parse()?, &format!("{path}{rest}"))
                    .header("idempotency-key", kit::id::secret());
                api.send(request).await
            };
            ask(&member, &path).await?.problem(403, "forbidden-role")?;
            let (foreign, none) = (ask(&stranger, &path).await?, ask(&stranger, &unknown).await?);
            ensure!(
                foreign.status == 404 && foreign.body["code"] == none.body["code"],
                "{verb} {rest}: {foreign:?}"
            );
        }
        ensure!(owner.delete(&path).await?.status == 204);
        owner.get(&path).await?.problem(404, "not-found")?;
        Ok(())
    })
    .await
}

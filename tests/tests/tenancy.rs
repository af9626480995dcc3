//! Another workspace, and everything in it, looks as if it did not exist.

use anyhow::ensure;
use harness::{Answer, Api, Outcome, each_form};
use reqwest::Method;
use serde_json::{Value, json};

/// The answer with everything taken out that names the request itself.
fn told(answer: &Answer, id: &str) -> (u16, Value) {
    let mut body: Value = serde_json::from_str(&answer.text.replace(id, "ID")).unwrap_or(Value::Null);
    if let Some(members) = body.as_object_mut() {
        members.remove("request_id");
    }
    (answer.status.as_u16(), body)
}

async fn ask(api: &Api, method: &Method, path: &str, id: &str) -> anyhow::Result<Answer> {
    let path = path.replace("ID", id);
    match *method {
        Method::POST => api.post(&path, json!({"destination_ids": ["x"]})).await,
        Method::PUT => api.put(&path, json!({})).await,
        Method::DELETE => api.delete(&path).await,
        _ => api.get(&path).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t1_ids_of_another_workspace_answer_like_ids_that_never_existed() -> Outcome {
    each_form(async |hub| {
        let owner = hub.owner("antiques");
        let account = owner.connect_one(&hub.sandbox, "facebook", "enid").await?;
        let flow = hub.owner("bakery").begin("facebook", &json!({})).await?;
        let thief = hub.api("usr_thief", "thieves", "owner");
        let paths = [
            (Method::GET, "accounts/ID", &account),
            (Method::DELETE, "accounts/ID", &account),
            (Method::POST, "accounts/ID/checks", &account),
            (Method::POST, "accounts/ID/token-refreshes", &account),
            (Method::GET, "accounts/ID/diagnostics", &account),
            (Method::GET, "accounts/ID/posts", &account),
            (Method::GET, "accounts/ID/history", &account),
            (Method::GET, "accounts/ID/impact", &account),
            (Method::GET, "accounts/ID/support-context", &account),
            (Method::GET, "connect-sessions/ID", &flow.id),
            (Method::DELETE, "connect-sessions/ID", &flow.id),
            (Method::POST, "connect-sessions/ID/selection", &flow.id),
        ];
        for (method, path, id) in paths {
            let never = format!(
                "{}01JD0000000000000000000000",
                &id[..id.find('_').map_or(0, |at| at + 1)]
            );
            let foreign = told(&ask(&thief, &method, path, id).await?, id);
            let unknown = told(&ask(&thief, &method, path, &never).await?, &never);
            ensure!(foreign.0 == 404, "{method} {path}: {foreign:?}");
            ensure!(foreign == unknown, "{method} {path}: {foreign:?} is not {unknown:?}");
        }
        ensure!(
            owner.health(&account).await? == "healthy",
            "somebody else's request changed it"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn t2_the_path_of_another_workspace_is_a_404_for_everything() -> Outcome {
    each_form(async |hub| {
        hub.owner("antiques")
            .connect_one(&hub.sandbox, "facebook", "enid")
            .await?;
        let thief = hub.api("usr_thief", "thieves", "owner");
        for path in [
            "entitlements",
            "accounts",
            "accounts/summary",
            "notifications",
            "events",
        ] {
            let foreign = thief.get(&format!("/api/v1/workspaces/antiques/{path}")).await?;
            let unknown = thief.get(&format!("/api/v1/workspaces/nobodys/{path}")).await?;
            ensure!(foreign.status == 404, "{path}: {}", foreign.status);
            let (foreign, unknown) = (told(&foreign, "antiques"), told(&unknown, "nobodys"));
            ensure!(foreign == unknown, "{path}: {foreign:?} is not {unknown:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn t3_without_credentials_the_api_answers_401() -> Outcome {
    each_form(async |hub| {
        for path in [
            "/api/v1/me",
            "/api/v1/workspaces/antiques/accounts",
            "/api/v1/workspaces/antiques/events",
        ] {
            let answer = reqwest::get(format!("{}{path}", hub.url())).await?;
            ensure!(answer.status() == 401, "{path}: {}", answer.status());
            ensure!(answer.text().await?.contains("\"unauthenticated\""), "{path}");
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_a_workspace_named_in_a_body_is_never_the_one_that_is_meant() -> Outcome {
    each_form(async |hub| {
        let owner = hub.owner("antiques");
        let account = owner.connect_one(&hub.sandbox, "facebook", "enid").await?;
        let thief = hub.api("usr_thief", "thieves", "owner");
        for workspace in ["antiques", "thieves"] {
            let reconnect = json!({
                "workspace_id": workspace, "intent": "reconnect", "platform": "facebook", "account_ids": [account],
            });
            for (path, body) in [
                ("connect-sessions", reconnect),
                (
                    "webhook-endpoints",
                    json!({"workspace_id": workspace, "url": "https://example.com/hook"}),
                ),
                (
                    &format!("accounts/{account}/posts"),
                    json!({"workspace_id": workspace, "text": "Fresh bread"}),
                ),
            ] {
                let answer = thief.post(path, body).await?;
                ensure!(
                    [400, 404, 422].contains(&answer.status.as_u16()),
                    "{path} {workspace}: {} {}",
                    answer.status,
                    answer.text
                );
            }
        }
        ensure!(hub.sandbox.requests("facebook", "publish").await?.is_empty());
        ensure!(owner.get("webhook-endpoints").await?.ok()?["data"] == json!([]));
        Ok(())
    })
    .await
}

//! Every route of the API, as the OpenAPI document lists them, asked by who may not: a route without a rule here fails.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use harness::{Answer, Api, Cluster, Outcome, each_form};
use reqwest::Method;
use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../../gateway/openapi.json");
/// Headers that name the request itself or the moment.
const OF_THE_REQUEST: [&str; 3] = ["x-request-id", "date", "content-length"];
const ROLES: [&str; 3] = ["member", "admin", "owner"];

/// Route, the least role that may ask, and a body that the route takes.
const RULES: &[(&str, &str, &str)] = &[
    ("get /me", "member", ""),
    ("put /me/preferences", "member", "{}"),
    ("put /me/tours/connections", "member", r#"{"status": "completed"}"#),
    ("get /platforms", "member", ""),
    ("post /workspaces/{workspace_id}/account-checks", "member", "{}"),
    ("get /workspaces/{workspace_id}/accounts", "member", ""),
    ("get /workspaces/{workspace_id}/accounts/summary", "member", ""),
    ("get /workspaces/{workspace_id}/accounts/{account_id}", "member", ""),
    ("delete /workspaces/{workspace_id}/accounts/{account_id}", "admin", ""),
    (
        "post /workspaces/{workspace_id}/accounts/{account_id}/checks",
        "member",
        "{}",
    ),
    (
        "get /workspaces/{workspace_id}/accounts/{account_id}/diagnostics",
        "admin",
        "",
    ),
    (
        "get /workspaces/{workspace_id}/accounts/{account_id}/history",
        "member",
        "",
    ),
    (
        "get /workspaces/{workspace_id}/accounts/{account_id}/impact",
        "member",
        "",
    ),
    (
        "get /workspaces/{workspace_id}/accounts/{account_id}/posts",
        "member",
        "",
    ),
    (
        "post /workspaces/{workspace_id}/accounts/{account_id}/posts",
        "member",
        r#"{"text": "hello"}"#,
    ),
    (
        "post /workspaces/{workspace_id}/accounts/{account_id}/reconnect-requests",
        "member",
        "{}",
    ),
    (
        "get /workspaces/{workspace_id}/accounts/{account_id}/support-context",
        "member",
        "",
    ),
    (
        "post /workspaces/{workspace_id}/accounts/{account_id}/token-refreshes",
        "admin",
        "{}",
    ),
    (
        "post /workspaces/{workspace_id}/connect-sessions",
        "admin",
        r#"{"intent": "connect", "platform": "facebook", "channel": "redirect"}"#,
    ),
    (
        "get /workspaces/{workspace_id}/connect-sessions/{session_id}",
        "member",
        "",
    ),
    (
        "delete /workspaces/{workspace_id}/connect-sessions/{session_id}",
        "member",
        "",
    ),
    (
        "post /workspaces/{workspace_id}/connect-sessions/{session_id}/completion",
        "admin",
        r#"{"code": "none"}"#,
    ),
    (
        "post /workspaces/{workspace_id}/connect-sessions/{session_id}/selection",
        "admin",
        r#"{"destination_ids": ["x"]}"#,
    ),
    ("get /workspaces/{workspace_id}/entitlements", "member", ""),
    (
        "put /workspaces/{workspace_id}/entitlements/active-accounts",
        "owner",
        r#"{"account_ids": []}"#,
    ),
    ("get /workspaces/{workspace_id}/events", "member", ""),
    ("get /workspaces/{workspace_id}/notifications", "member", ""),
    (
        "put /workspaces/{workspace_id}/notifications/{notification_id}/read",
        "member",
        "",
    ),
    ("get /workspaces/{workspace_id}/webhook-endpoints", "admin", ""),
    (
        "post /workspaces/{workspace_id}/webhook-endpoints",
        "admin",
        r#"{"url": "http://127.0.0.1:9/hooks"}"#,
    ),
    (
        "get /workspaces/{workspace_id}/webhook-endpoints/{endpoint_id}",
        "admin",
        "",
    ),
    (
        "put /workspaces/{workspace_id}/webhook-endpoints/{endpoint_id}",
        "admin",
        r#"{"url": "http://127.0.0.1:9/hooks", "enabled": true}"#,
    ),
    (
        "delete /workspaces/{workspace_id}/webhook-endpoints/{endpoint_id}",
        "admin",
        "",
    ),
    (
        "post /workspaces/{workspace_id}/webhook-endpoints/{endpoint_id}/secret-rotations",
        "admin",
        "{}",
    ),
    (
        "post /workspaces/{workspace_id}/webhook-endpoints/{endpoint_id}/pings",
        "admin",
        "{}",
    ),
    (
        "get /workspaces/{workspace_id}/webhook-endpoints/{endpoint_id}/deliveries",
        "admin",
        "",
    ),
    (
        "post /workspaces/{workspace_id}/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/replays",
        "admin",
        "{}",
    ),
    (
        "put /workspaces/{workspace_id}/platform-interests/{platform}",
        "member",
        "",
    ),
];

/// One route, with what its rule says.
struct Route {
    method: Method,
    path: &'static str,
    least: &'static str,
    body: &'static str,
}

/// Ids to put into paths.
#[derive(Clone)]
struct Ids {
    workspace: String,
    account: String,
    session: String,
    notification: String,
    endpoint: String,
    delivery: String,
}

impl Ids {
    /// Ids of the same form that never were.
    fn unknown(&self) -> Self {
        let like = |id: &str| match id.split_once('_') {
            Some((prefix, _)) => format!("{prefix}_01JD0000000000000000000000"),
            None => "nobodys".to_owned(),
        };
        Self {
            workspace: "nobodys".to_owned(),
            account: like(&self.account),
            session: like(&self.session),
            notification: like(&self.notification),
            endpoint: like(&self.endpoint),
            delivery: like(&self.delivery),
        }
    }

    fn pairs(&self) -> [(&'static str, &str); 7] {
        [
            ("{workspace_id}", &self.workspace),
            ("{account_id}", &self.account),
            ("{session_id}", &self.session),
            ("{notification_id}", &self.notification),
            ("{endpoint_id}", &self.endpoint),
            ("{delivery_id}", &self.delivery),
            ("{platform}", "telegram"),
        ]
    }
}

fn routes() -> Vec<Route> {
    RULES
        .iter()
        .map(|(route, least, body)| {
            let (method, path) = route.split_once(' ').unwrap_or_default();
            let method = method.to_uppercase().parse().unwrap_or_default();
            Route {
                method,
                path,
                least,
                body,
            }
        })
        .collect()
}

impl Route {
    async fn ask(&self, api: &Api, ids: &Ids) -> anyhow::Result<Answer> {
        let mut path = format!("/api/v1{}", self.path);
        for (name, id) in ids.pairs() {
            path = path.replace(name, id);
        }
        let mut request = api.request(self.method.clone(), &path);
        if self.method == Method::POST {
            request = request.header(
                "idempotency-key",
                format!("{}-{}", api.workspace(), rand::random::<u64>()),
            );
        }
        if !self.body.is_empty() {
            request = request.header("content-type", "application/json").body(self.body);
        }
        let answer = request.send().await?;
        // A stream would go on for an hour; that it began says enough.
        if answer
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind == "text/event-stream")
        {
            let (status, headers) = (answer.status(), answer.headers().clone());
            return Ok(Answer {
                status,
                headers,
                text: String::new(),
                body: Value::Null,
            });
        }
        Answer::read(answer).await
    }
}

/// Status, headers and body, without what names the request itself.
fn told(answer: &Answer, ids: &Ids) -> (u16, BTreeMap<String, String>, Value) {
    let mut text = answer.text.clone();
    for (name, id) in ids.pairs() {
        text = text.replace(id, name);
    }
    let mut body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    if let Some(members) = body.as_object_mut() {
        members.remove("request_id");
    }
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| !OF_THE_REQUEST.contains(&name.as_str()));
    let headers =
        headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    (answer.status.as_u16(), headers.collect(), body)
}

#[test]
fn t3_every_route_of_the_document_has_a_rule() -> Outcome {
    let document: Value = serde_json::from_str(DOCUMENT)?;
    let mut listed = Vec::new();
    for (path, item) in document["paths"].as_object().context("no paths")? {
        for (verb, _) in item
            .as_object()
            .context("no item")?
            .iter()
            .filter(|(_, value)| value.is_object())
        {
            listed.push(format!("{verb} {path}"));
        }
    }
    let mut ruled: Vec<_> = RULES.iter().map(|(route, _, _)| (*route).to_owned()).collect();
    listed.sort();
    ruled.sort();
    ensure!(listed == ruled, "document: {listed:#?}\nrules: {ruled:#?}");
    Ok(())
}

/// A workspace with an account, an open connect session, a notification and a webhook endpoint.
async fn furnish(hub: &Cluster, workspace: &str) -> anyhow::Result<Ids> {
    hub.plan(workspace, "professional").await?;
    let owner = hub.owner(workspace);
    let account = owner.connect_one(&hub.sandbox, "facebook", "enid").await?;
    let again = json!({"intent": "reconnect", "account_ids": [account]});
    let session = owner.begin("facebook", &again).await?.id;
    let member = hub.api("usr_member", workspace, "member");
    member
        .post(&format!("accounts/{account}/reconnect-requests"), json!({}))
        .await?;
    let list = owner.get("notifications").await?.ok()?;
    let notification = list["data"][0]["id"]
        .as_str()
        .unwrap_or("ntf_01JD0000000000000000000001")
        .to_owned();
    // Nobody listens there; what is sent to it waits.
    let hook = json!({"url": "http://127.0.0.1:9/hooks"});
    let hook = owner.post("webhook-endpoints", hook).await?.ok()?;
    let endpoint = hook["id"].as_str().context("no endpoint")?.to_owned();
    let pings = format!("webhook-endpoints/{endpoint}/pings");
    let ping = owner.post(&pings, json!({})).await?.ok()?;
    let delivery = ping["id"].as_str().context("no delivery")?.to_owned();
    Ok(Ids {
        workspace: workspace.to_owned(),
        account,
        session,
        notification,
        endpoint,
        delivery,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn t1_t5_c1_what_is_of_another_workspace_equals_what_never_was_on_every_route() -> Outcome {
    each_form(async |hub| {
        let theirs = furnish(hub, "antiques").await?;
        let thief = hub.api("usr_thief", "thieves", "owner");
        let mine = |ids: Ids| Ids {
            workspace: "thieves".to_owned(),
            ..ids
        };
        let unknown = theirs.unknown();
        for route in routes().iter().filter(|route| route.path.contains("{workspace_id}")) {
            let at = format!("{} {}", route.method, route.path);
            let foreign = told(&route.ask(&thief, &theirs).await?, &theirs);
            let never = told(&route.ask(&thief, &unknown).await?, &unknown);
            ensure!(foreign.0 == 404, "{at} in another workspace: {foreign:?}");
            ensure!(
                foreign == never,
                "{at} in another workspace: {foreign:?} is not {never:?}"
            );
            if route.path.matches('{').count() < 2 || route.path.contains("{platform}") {
                continue;
            }
            let (stolen, made_up) = (mine(theirs.clone()), mine(unknown.clone()));
            let foreign = told(&route.ask(&thief, &stolen).await?, &stolen);
            let never = told(&route.ask(&thief, &made_up).await?, &made_up);
            ensure!(foreign == never, "{at} with another's id: {foreign:?} is not {never:?}");
            let is_quiet = route.path.ends_with("/read") && foreign.0 == 204;
            ensure!(foreign.0 == 404 || is_quiet, "{at} with another's id: {foreign:?}");
        }
        let owner = hub.owner("antiques");
        ensure!(
            owner.health(&theirs.account).await? == "healthy",
            "somebody else's request changed it"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_every_role_is_refused_on_every_route_that_is_not_for_it() -> Outcome {
    each_form(async |hub| {
        let ids = furnish(hub, "antiques").await?;
        let unknown = Ids {
            workspace: ids.workspace.clone(),
            ..ids.unknown()
        };
        let rank = |role: &str| ROLES.iter().position(|one| *one == role);
        for route in routes() {
            let at = format!("{} {}", route.method, route.path);
            let anonymous = hub.api("", "", "");
            ensure!(
                route.ask(&anonymous, &ids).await?.status == 401,
                "{at} without credentials"
            );
            for role in ROLES {
                let api = hub.api(&format!("usr_{role}"), "antiques", role);
                if rank(role) < rank(route.least) {
                    let answer = route.ask(&api, &ids).await?;
                    ensure!(
                        answer.status == 403 && answer.body["code"] == "forbidden-role",
                        "{at} as {role}: {} {}",
                        answer.status,
                        answer.text
                    );
                } else {
                    let status = route.ask(&api, &unknown).await?.status.as_u16();
                    ensure!(!matches!(status, 401 | 403 | 500..), "{at} as {role}: {status}");
                }
            }
        }
        let account = hub.owner("antiques").account(&ids.account).await?;
        ensure!(
            account["health"]["status"] == "healthy",
            "who was refused changed it: {account}"
        );
        Ok(())
    })
    .await
}

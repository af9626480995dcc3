//! Headers over all kinds of answers.

use http::Method;

use crate::support::{Gateway, OWNER, samples};

/// Headers that every answer has, with their values; the rest differs by kind.
const ALWAYS: &[(&str, &str)] = &[
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

/// Pages, parts of pages and questions; over services that answer little, most of them are error pages here.
const PAGES: &[&str] = &[
    "/connections",
    "/connections?account=acc_1",
    "/overview",
    "/composer",
    "/notifications",
    "/billing",
    "/support",
    "/gallery",
    "/connections/connect/x",
    "/connections/acc_1/disconnect",
    "/connections/sessions/cs_1",
    "/ui/accounts/acc_1/card",
    "/ui/accounts/acc_1/panel",
    "/ui/accounts/acc_1/posts",
    "/ui/sessions/cs_1",
    "/no-such-page",
    "/api/v1/docs",
    "/oauth/x/callback",
    "/oauth/return/cs_1",
];

#[tokio::test]
async fn b18_every_answer_has_its_headers() {
    let gateway = Gateway::start().await;
    samples::one_account(&gateway.answers);
    let mut paths: Vec<String> = gateway::api::document()
        .paths
        .paths
        .keys()
        .map(|path| format!("/api/v1{path}"))
        .collect();
    let others = [
        "/",
        "/healthz",
        "/readyz",
        "/support",
        "/no-such-page",
        "/api/v1/docs",
        "/api/v1/openapi.json",
        "/oauth/x/callback",
        "/oauth/return/cs_1",
        "/webhooks/meta",
        "/media/avatars/acc_1",
        "/assets/x/y",
    ];
    paths.extend(PAGES.iter().map(|path| (*path).to_owned()));
    paths.extend(others.iter().map(|path| (*path).to_owned()));
    for path in paths {
        let path = path
            .replace("{workspace_id}", "acme")
            .replace("{account_id}", "acc_1")
            .replace(['{', '}'], "");
        for method in [Method::GET, Method::POST] {
            let response = gateway.request(method.clone(), &path).by(OWNER).open().await;
            for (name, value) in ALWAYS {
                assert_eq!(
                    response.headers().get(*name).map(|found| found.to_str().unwrap()),
                    Some(*value),
                    "{method} {path} {name}"
                );
            }
            let header = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap());
            assert!(
                header("content-security-policy").contains("default-src 'none'"),
                "{path}"
            );
            assert!(!header("content-security-policy").contains("unsafe"), "{path}");
            assert!(
                !header("x-request-id").is_empty() && !header("cross-origin-opener-policy").is_empty(),
                "{path}"
            );
            if path.starts_with("/api/") {
                assert_eq!(header("cache-control"), "no-store", "{path}");
            }
        }
    }
}

#[tokio::test]
async fn b15_b16_a_page_runs_no_inline_script_and_stands_in_no_frame() {
    let gateway = Gateway::start().await;
    samples::one_account(&gateway.answers);
    for path in PAGES {
        let page = gateway.get(path).by(OWNER).header("accept", "text/html").send().await;
        assert!(page.header("content-type").starts_with("text/html"), "{path}: {page:?}");
        let policy = page.header("content-security-policy");
        for part in [
            "script-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "form-action 'self' https://dialog.example",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert_eq!(page.header("cross-origin-opener-policy"), "same-origin-allow-popups");
        assert!(
            !page.body.contains("<script>") && !page.body.contains("javascript:") && !page.body.contains(" style="),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_page_may_go_to_the_back_forward_cache() {
    let gateway = Gateway::start().await;
    assert_eq!(
        gateway.get("/support").by(OWNER).send().await.header("cache-control"),
        "private, no-cache"
    );
}

#[tokio::test]
async fn b18_https_is_kept_to_where_there_is_https() {
    let gateway = Gateway::with(&[("GATEWAY__PUBLIC_URL", "https://hub.example")]).await;
    let page = gateway.get("/support").send().await;
    assert_eq!(
        page.header("strict-transport-security"),
        "max-age=31536000; includeSubDomains"
    );
    assert!(
        page.header("set-cookie").starts_with("__Host-sz-session=") && page.header("set-cookie").contains("; Secure")
    );
}

#[tokio::test]
async fn large_answers_are_compressed_and_streams_are_not() {
    let gateway = Gateway::start().await;
    let docs = gateway
        .get("/api/v1/openapi.json")
        .header("accept-encoding", "br")
        .open()
        .await;
    assert_eq!(docs.headers()["content-encoding"], "br");
    gateway
        .answers
        .raw("WatchEvents", |_, _| Ok(crate::support::fake::Reply::Open(Vec::new())));
    let call = gateway
        .get("/api/v1/workspaces/acme/events")
        .by(OWNER)
        .header("accept-encoding", "br");
    assert!(call.open().await.headers().get("content-encoding").is_none());
}

#[tokio::test]
async fn a_missing_picture_is_the_initial_of_the_name() {
    let gateway = Gateway::start().await;
    samples::one_account(&gateway.answers);
    let picture = gateway.get("/media/avatars/acc_1").by(OWNER).send().await;
    assert_eq!(picture.header("content-type"), "image/svg+xml");
    assert!(picture.header("content-security-policy").contains("sandbox"));
    assert!(picture.body.contains(">A</text>"));
}

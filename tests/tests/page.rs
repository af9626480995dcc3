//! The pages, as a browser gets them.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use harness::{Cluster, Consent, Form, Outcome, each_form, eventually};
use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_workspace_shows_attention_first_and_no_token() -> Outcome {
    each_form(async |hub| {
        hub.plan("antiques", "starter").await?;
        let owner = hub.owner("antiques");
        owner.connect_one(&hub.sandbox, "instagram", "bo").await?;
        let kept = vec!["pages_show_list", "pages_read_engagement", "business_management"];
        let consent = Consent {
            permissions: Some(kept),
            destinations: None,
            person: "enid",
        };
        owner
            .connect_with(&hub.sandbox, "facebook", &json!({}), &consent)
            .await?;
        let page = owner.get("/connections").await?;
        ensure!(page.status == 200, "{}", page.status);
        let (amber, green) = (page.text.find("Oldfield Antiques"), page.text.find("bo.creates"));
        ensure!(
            amber.is_some() && green.is_some() && amber < green,
            "amber {amber:?}, green {green:?}"
        );
        ensure!(
            page.text.contains("Needs reconnect") && page.text.contains("Healthy"),
            "health in words is missing"
        );
        ensure!(!page.text.contains("<script>alert(1)"), "a name became markup");
        ensure!(!page.text.contains("SBX"), "a token is on the page");
        Ok(())
    })
    .await
}

/// The document after its scripts ran, from a real browser.
async fn rendered(url: &str) -> anyhow::Result<String> {
    let profile = tempfile::tempdir()?;
    let mut browser = Command::new("chromium");
    browser
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-sync",
        ])
        .args(["--disable-background-networking", "--disable-component-update"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--dump-dom", url])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(Duration::from_secs(60), browser.output())
        .await
        .context("chromium does not end")??;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_opens_the_page_is_signed_in_as_the_demo_owner() -> Outcome {
    let hub = Cluster::start(Form::Embedded, &[("demo", "true")]).await?;
    let owner = hub.owner("demo");
    eventually("the demo accounts are there", async || {
        Ok((owner.accounts().await?.len() == 4).then_some(()))
    })
    .await?;
    let page = rendered(&format!("{}/connections", hub.url())).await?;
    for text in ["Connections", "Healthy", "Needs reconnect", "Ada Sandbox"] {
        ensure!(page.contains(text), "{text} is not on the page: {page}");
    }
    hub.stop().await
}

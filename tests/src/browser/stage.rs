//! A hub of its own for a browser test, and visitors: isolated browser contexts, each signed in as somebody.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use base64::Engine as _;
use serde_json::json;

use super::pipe::{Pipe, pipe};
use super::screen::Screen;
use super::tab::Tab;
use crate::{Api, Cluster, Form, Outcome};

/// Where everything of one test is.
pub struct Stage {
    /// The hub, in this process, on a clock that the test can move.
    pub hub: Cluster,
    pipe: Arc<Pipe>,
    name: String,
    contexts: Mutex<Vec<String>>,
    tabs: Arc<Mutex<Vec<Tab>>>,
}

/// One person at one browser.
pub struct Visitor {
    /// The same person at the API.
    pub api: Api,
    pipe: Arc<Pipe>,
    context: String,
    base: String,
    tabs: Arc<Mutex<Vec<Tab>>>,
}

/// Runs a test with a browser on a hub of its own; afterwards no page may have complained.
pub async fn in_browser(test: impl AsyncFn(&Stage) -> Outcome) -> Outcome {
    in_browser_with(&[], test).await
}

/// As [`in_browser`], with `section.key` settings of its own.
pub async fn in_browser_with(settings: &[(&str, &str)], test: impl AsyncFn(&Stage) -> Outcome) -> Outcome {
    let stage = Stage::raise(settings).await?;
    let mut outcome = Box::pin(test(&stage)).await;
    if outcome.is_ok() {
        outcome = stage.tabs().iter().try_for_each(Tab::is_calm);
    }
    if outcome.is_err() {
        outcome = outcome.context(stage.photograph().await);
    }
    stage.strike().await?;
    outcome
}

impl Stage {
    async fn raise(settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let thread = std::thread::current();
        let name = thread
            .name()
            .unwrap_or("test")
            .rsplit("::")
            .next()
            .unwrap_or("test")
            .to_owned();
        let (pipe, hub) = tokio::try_join!(pipe(), Cluster::start(Form::Embedded, settings))?;
        Ok(Self {
            hub,
            pipe,
            name,
            contexts: Mutex::default(),
            tabs: Arc::default(),
        })
    }

    /// The owner of a workspace, who has seen the tour.
    pub async fn owner(&self, workspace: &str) -> anyhow::Result<Visitor> {
        self.visitor("usr_owner", workspace, "owner").await
    }

    /// Somebody in a workspace, who has seen the tour.
    pub async fn visitor(&self, user: &str, workspace: &str, role: &str) -> anyhow::Result<Visitor> {
        let visitor = self.newcomer(user, workspace, role).await?;
        visitor
            .api
            .put("/api/v1/me/tours/connections", json!({"status": "completed"}))
            .await?
            .ok()?;
        Ok(visitor)
    }

    /// Somebody who was never here before.
    pub async fn newcomer(&self, user: &str, workspace: &str, role: &str) -> anyhow::Result<Visitor> {
        let visitor = self.stranger(self.hub.api(user, workspace, role)).await?;
        visitor.sign_in(user, workspace, role).await?;
        Ok(visitor)
    }

    /// A browser that nobody is signed in with; `api` is whoever it will be.
    pub async fn stranger(&self, api: Api) -> anyhow::Result<Visitor> {
        let made = self.pipe.call(None, "Target.createBrowserContext", json!({})).await?;
        let context = made["browserContextId"].as_str().context("no context")?.to_owned();
        lock(&self.contexts).push(context.clone());
        Ok(Visitor {
            api,
            pipe: Arc::clone(&self.pipe),
            context,
            base: self.hub.url(),
            tabs: Arc::clone(&self.tabs),
        })
    }

    fn tabs(&self) -> Vec<Tab> {
        lock(&self.tabs).clone()
    }

    /// Pictures of all tabs, for whoever mends what failed; where they are.
    async fn photograph(&self) -> String {
        let mut taken = String::from("pictures:");
        for (index, tab) in self.tabs().iter().enumerate() {
            if let Ok(path) = tab.photograph(&format!("failed/{}-{index}", self.name)).await {
                let _ = write!(taken, " {}", path.display());
            }
        }
        taken
    }

    async fn strike(self) -> anyhow::Result<()> {
        let contexts = lock(&self.contexts).clone();
        for context in contexts {
            let context = json!({"browserContextId": context});
            self.pipe.call(None, "Target.disposeBrowserContext", context).await?;
        }
        self.hub.stop().await
    }
}

impl Visitor {
    /// Becomes somebody else in the same browser.
    pub async fn sign_in(&self, user: &str, workspace: &str, role: &str) -> anyhow::Result<()> {
        let cookie = json!({"name": "sz-session", "value": format!("dev.{user}.{workspace}.{role}"), "url": self.base});
        self.set_cookie(cookie).await
    }

    /// Puts a cookie into this browser.
    pub async fn set_cookie(&self, cookie: serde_json::Value) -> anyhow::Result<()> {
        let cookies = json!({"cookies": [cookie], "browserContextId": self.context});
        self.pipe.call(None, "Storage.setCookies", cookies).await.map(drop)
    }

    /// A new tab, with nothing in it yet.
    pub async fn tab(&self, screen: Screen) -> anyhow::Result<Tab> {
        let blank = json!({"url": "about:blank", "browserContextId": self.context, "newWindow": true});
        let made = self.pipe.call(None, "Target.createTarget", blank).await?;
        let target = made["targetId"].as_str().context("no target")?;
        let tab = Tab::attach(&self.pipe, target, &self.base, screen).await?;
        lock(&self.tabs).push(tab.clone());
        Ok(tab)
    }

    /// A new tab at a path.
    pub async fn open(&self, screen: Screen, path: &str) -> anyhow::Result<Tab> {
        let tab = self.tab(screen).await?;
        tab.goto(path).await?;
        Ok(tab)
    }
}

impl Tab {
    /// A picture of what is seen, as `target/browser/<name>.png`; where it is.
    pub async fn photograph(&self, name: &str) -> anyhow::Result<PathBuf> {
        self.picture(name, json!({"format": "png"})).await
    }

    /// A picture of the page down to its end.
    pub async fn photograph_all(&self, name: &str) -> anyhow::Result<PathBuf> {
        self.picture(name, json!({"format": "png", "captureBeyondViewport": true}))
            .await
    }

    async fn picture(&self, name: &str, how: serde_json::Value) -> anyhow::Result<PathBuf> {
        let shot = self.call("Page.captureScreenshot", how).await?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap_or_default())?;
        let program = std::env::current_exe()?;
        let target = program.ancestors().nth(3).context("no target folder")?;
        let path = target.join("browser").join(format!("{name}.png"));
        std::fs::create_dir_all(path.parent().context("no folder")?)?;
        std::fs::write(&path, bytes)?;
        Ok(path)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! One tab of the browser: going somewhere, reading what is there, waiting until something is.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::pipe::{Journal, Pipe};
use super::screen::Screen;
use crate::eventually;

const LOOK: &str = include_str!("look.js");

struct Inner {
    pipe: Arc<Pipe>,
    journal: Arc<Journal>,
    session: String,
    target: String,
    base: String,
    screen: Screen,
    /// Parts of error messages that this test brings about.
    forgiven: Mutex<Vec<String>>,
}

/// A tab, or a window that a page opened.
#[derive(Clone)]
pub struct Tab(Arc<Inner>);

impl Tab {
    /// Takes hold of a target and listens to it.
    pub(super) async fn attach(pipe: &Arc<Pipe>, target: &str, base: &str, screen: Screen) -> anyhow::Result<Self> {
        let attached = json!({"targetId": target, "flatten": true});
        let answer = pipe.call(None, "Target.attachToTarget", attached).await?;
        let session = answer["sessionId"].as_str().context("no session")?.to_owned();
        let tab = Self(Arc::new(Inner {
            pipe: Arc::clone(pipe),
            journal: pipe.journal(&session),
            session,
            target: target.to_owned(),
            base: base.to_owned(),
            screen,
            forgiven: Mutex::default(),
        }));
        for domain in ["Page", "Runtime", "Log", "Network"] {
            tab.call(&format!("{domain}.enable"), json!({})).await?;
        }
        tab.set_up(screen).await?;
        Ok(tab)
    }

    /// Calls a method of the protocol on this tab.
    pub async fn call(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.0.pipe.call(Some(&self.0.session), method, params).await
    }

    /// Everything of this name that the tab has told so far.
    pub fn told(&self, method: &str) -> Vec<Value> {
        self.0.journal.of(method)
    }

    /// How it is looked at.
    pub fn screen(&self) -> Screen {
        self.0.screen
    }

    /// Goes to a path of the hub, or to a whole address, and waits until it is loaded.
    pub async fn goto(&self, path: &str) -> anyhow::Result<()> {
        let url = if path.starts_with("http") || path.starts_with("about:") {
            path.to_owned()
        } else {
            format!("{}{path}", self.0.base)
        };
        let answer = self.call("Page.navigate", json!({"url": url})).await?;
        ensure!(answer.get("errorText").is_none(), "{url}: {}", answer["errorText"]);
        self.loaded().await
    }

    /// Loads the page anew.
    pub async fn reload(&self) -> anyhow::Result<()> {
        self.eval("window.leaving = true").await?;
        self.call("Page.reload", json!({})).await?;
        self.until("!window.leaving").await?;
        self.loaded().await
    }

    /// The browser's (or the phone's) Back.
    pub async fn back(&self) -> anyhow::Result<()> {
        self.history(-1).await
    }

    /// The browser's Forward.
    pub async fn forward(&self) -> anyhow::Result<()> {
        self.history(1).await
    }

    async fn history(&self, by: i64) -> anyhow::Result<()> {
        let history = self.call("Page.getNavigationHistory", json!({})).await?;
        let index = history["currentIndex"].as_i64().context("no history")? + by;
        let entry = &history["entries"][usize::try_from(index)?]["id"];
        self.call("Page.navigateToHistoryEntry", json!({"entryId": entry}))
            .await?;
        self.loaded().await
    }

    /// Waits until the document and its scripts are there.
    pub async fn loaded(&self) -> anyhow::Result<()> {
        self.until("document.readyState === 'complete'").await.map(drop)
    }

    /// The value of an expression, which may be a promise and may use the functions of `look.js`.
    pub async fn eval(&self, expression: &str) -> anyhow::Result<Value> {
        let expression = format!("(() => {{ {LOOK} return ({expression}); }})()");
        let call = json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": false});
        let mut answer = self.call("Runtime.evaluate", call).await?;
        if let Some(wrong) = answer.get("exceptionDetails") {
            anyhow::bail!("{expression}: {}", wrong["exception"]["description"]);
        }
        Ok(answer["result"]["value"].take())
    }

    /// Waits until an expression is true; its value.
    pub async fn until(&self, expression: &str) -> anyhow::Result<Value> {
        eventually(expression, async || {
            // While a page is being left there is nothing to ask.
            let value = self.eval(expression).await?;
            let is_true = !matches!(value, Value::Null | Value::Bool(false)) && value != json!(0) && value != json!("");
            Ok(is_true.then_some(value))
        })
        .await
    }

    /// Waits until a visible element of `css` holds `text`.
    pub async fn see(&self, css: &str, text: &str) -> anyhow::Result<()> {
        let wanted = format!("find({}, {}).length", json!(css), json!(text));
        match self.until(&wanted).await {
            Ok(_) => Ok(()),
            Err(_) => anyhow::bail!("{css} does not say “{text}”; it says {:?}", self.texts(css).await?),
        }
    }

    /// Waits until no visible element of `css` holds `text`.
    pub async fn gone(&self, css: &str, text: &str) -> anyhow::Result<()> {
        let wanted = format!("!find({}, {}).length", json!(css), json!(text));
        self.until(&wanted).await.map(drop)
    }

    /// How many visible elements of `css` hold `text` now.
    pub async fn count(&self, css: &str, text: &str) -> anyhow::Result<u64> {
        let found = self
            .eval(&format!("find({}, {}).length", json!(css), json!(text)))
            .await?;
        found.as_u64().context("no number")
    }

    /// What the visible elements of `css` say, in order.
    pub async fn texts(&self, css: &str) -> anyhow::Result<Vec<String>> {
        let texts = self.eval(&format!("find({}).map(words)", json!(css))).await?;
        Ok(serde_json::from_value(texts)?)
    }

    /// What the first visible element of `css` says, once there is one.
    pub async fn text(&self, css: &str) -> anyhow::Result<String> {
        let text = self
            .until(&format!("find({})[0] && words(find({0})[0])", json!(css)))
            .await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// An attribute of the first element of `css`.
    pub async fn attribute(&self, css: &str, name: &str) -> anyhow::Result<String> {
        let js = format!(
            "document.querySelector({})?.getAttribute({}) ?? ''",
            json!(css),
            json!(name)
        );
        Ok(self.eval(&js).await?.as_str().unwrap_or_default().to_owned())
    }

    /// Where the page is: path and query.
    pub async fn path(&self) -> anyhow::Result<String> {
        let path = self.eval("location.pathname + location.search").await?;
        Ok(path.as_str().unwrap_or_default().to_owned())
    }

    /// Runs in every document of this tab before its own scripts.
    pub async fn before(&self, script: &str) -> anyhow::Result<()> {
        let source = json!({"source": script});
        self.call("Page.addScriptToEvaluateOnNewDocument", source)
            .await
            .map(drop)
    }

    /// The window that this page opened, `nth` counted from 0.
    pub async fn popup(&self, nth: usize) -> anyhow::Result<Self> {
        let browser = self.0.pipe.journal("");
        let target = eventually("a pop-up opens", async || {
            let created = browser.of("Target.targetCreated");
            let mut ours = created
                .iter()
                .filter(|one| one["targetInfo"]["openerId"] == self.0.target.as_str());
            Ok(ours
                .nth(nth)
                .and_then(|one| one["targetInfo"]["targetId"].as_str().map(str::to_owned)))
        });
        let target = target.await?;
        Box::pin(Self::attach(&self.0.pipe, &target, &self.0.base, self.0.screen)).await
    }

    /// Closes it, as its person would.
    pub async fn close(&self) -> anyhow::Result<()> {
        let target = json!({"targetId": self.0.target});
        self.0.pipe.call(None, "Target.closeTarget", target).await.map(drop)
    }

    /// Waits until the window is closed, by whomever.
    pub async fn closed(&self) -> anyhow::Result<()> {
        let browser = self.0.pipe.journal("");
        eventually("the window closes", async || {
            let ended = browser.of("Target.targetDestroyed");
            Ok(ended
                .iter()
                .any(|one| one["targetId"] == self.0.target.as_str())
                .then_some(()))
        })
        .await
    }

    /// Errors with this text are the test's own doing.
    pub fn forgive(&self, text: &str) {
        self.0
            .forgiven
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text.to_owned());
    }

    /// Fails when the page logged an error, threw, or broke its content security policy.
    pub(super) fn is_calm(&self) -> anyhow::Result<()> {
        // What the platforms' pages lack is not ours.
        let ours = |entry: &Value| entry["url"].as_str().is_none_or(|url| url.starts_with(&self.0.base));
        let entries = self.told("Log.entryAdded").into_iter().map(|one| one["entry"].clone());
        let logged = entries
            .filter(ours)
            .filter(|entry| entry["level"] == "error" || entry["text"].to_string().contains("Content Security"));
        let thrown = self
            .told("Runtime.exceptionThrown")
            .into_iter()
            .map(|one| one["exceptionDetails"].clone());
        let printed = self
            .told("Runtime.consoleAPICalled")
            .into_iter()
            .filter(|one| one["type"] == "error");
        let forgiven = self.0.forgiven.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let all = logged.chain(thrown).chain(printed).map(|one| one.to_string());
        let wrong: Vec<_> = all
            .filter(|one| !forgiven.iter().any(|text| one.contains(text)))
            .collect();
        ensure!(wrong.is_empty(), "the page complains: {}", wrong.join("\n"));
        Ok(())
    }
}

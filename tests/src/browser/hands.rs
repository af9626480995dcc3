//! What a person does with a page: real clicks, keys and touches through the browser's input, never `element.click()`.

use anyhow::Context;
use serde_json::{Value, json};

use super::screen::Screen;
use super::tab::Tab;
use crate::eventually;

/// Steps of a finger from one place to another.
const STEPS: u32 = 8;

impl Tab {
    /// Clicks, or taps, the first visible element of `css` that holds `text`, when it stands still and nothing covers it.
    pub async fn press(&self, css: &str, text: &str) -> anyhow::Result<()> {
        let (x, y) = self.place(css, text).await?;
        match self.screen() {
            Screen::Desk => self.click_at(x, y).await,
            Screen::Phone => self.tap_at(x, y).await,
        }
    }

    /// Where that element can be met.
    pub async fn place(&self, css: &str, text: &str) -> anyhow::Result<(f64, f64)> {
        let js = format!("point({}, {})", json!(css), json!(text));
        let mut last = Value::Null;
        let what = format!("“{text}” of {css} can be pressed");
        let found = eventually(&what, async || {
            let now = self.eval(&js).await?;
            anyhow::ensure!(now.get("wrong").is_none(), "{}", now["wrong"]);
            let stands = now == last;
            last = now.clone();
            Ok(stands.then_some(now))
        });
        let found = found.await?;
        Ok((
            found["x"].as_f64().context("no x")?,
            found["y"].as_f64().context("no y")?,
        ))
    }

    /// Moves the mouse over the element.
    pub async fn hover(&self, css: &str, text: &str) -> anyhow::Result<()> {
        let (x, y) = self.place(css, text).await?;
        self.mouse("mouseMoved", x, y, "none").await
    }

    /// A click at a point of the viewport.
    pub async fn click_at(&self, x: f64, y: f64) -> anyhow::Result<()> {
        self.mouse("mouseMoved", x, y, "none").await?;
        self.mouse("mousePressed", x, y, "left").await?;
        self.mouse("mouseReleased", x, y, "left").await
    }

    /// Moves the mouse to a point.
    pub async fn mouse_to(&self, x: f64, y: f64) -> anyhow::Result<()> {
        self.mouse("mouseMoved", x, y, "none").await
    }

    async fn mouse(&self, kind: &str, x: f64, y: f64, button: &str) -> anyhow::Result<()> {
        let event = json!({"type": kind, "x": x, "y": y, "button": button, "clickCount": u8::from(button == "left")});
        self.call("Input.dispatchMouseEvent", event).await.map(drop)
    }

    /// A tap at a point of the viewport.
    pub async fn tap_at(&self, x: f64, y: f64) -> anyhow::Result<()> {
        self.touch("touchStart", Some((x, y))).await?;
        self.touch("touchEnd", None).await
    }

    /// Draws a finger from one point to another; `lift` ends it there.
    pub async fn drag(&self, from: (f64, f64), to: (f64, f64), lift: bool) -> anyhow::Result<()> {
        self.touch("touchStart", Some(from)).await?;
        for step in 1..=STEPS {
            let part = f64::from(step) / f64::from(STEPS);
            let at = (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part);
            self.touch("touchMove", Some(at)).await?;
        }
        if lift { self.lift().await } else { Ok(()) }
    }

    /// Lifts the finger.
    pub async fn lift(&self) -> anyhow::Result<()> {
        self.touch("touchEnd", None).await
    }

    async fn touch(&self, kind: &str, at: Option<(f64, f64)>) -> anyhow::Result<()> {
        let points: Vec<Value> = at.iter().map(|(x, y)| json!({"x": x, "y": y})).collect();
        self.call("Input.dispatchTouchEvent", json!({"type": kind, "touchPoints": points}))
            .await
            .map(drop)
    }

    /// Presses a key by its name: `Tab`, `Enter`, `Escape`, `F6`, ` `; `Shift+Tab` goes back.
    pub async fn key(&self, name: &str) -> anyhow::Result<()> {
        let (modifiers, name) = name.strip_prefix("Shift+").map_or((0, name), |rest| (8, rest));
        let (code, text) = match name {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            " " => (32, " "),
            "F6" => (117, ""),
            "ArrowDown" => (40, ""),
            other => anyhow::bail!("no key {other}"),
        };
        let code_name = if name == " " { "Space" } else { name };
        let mut event = json!({"key": name, "code": code_name, "windowsVirtualKeyCode": code, "modifiers": modifiers});
        if !text.is_empty() {
            event["text"] = text.into();
        }
        event["type"] = if text.is_empty() {
            "rawKeyDown".into()
        } else {
            "keyDown".into()
        };
        self.call("Input.dispatchKeyEvent", event.clone()).await?;
        event["type"] = "keyUp".into();
        self.call("Input.dispatchKeyEvent", event).await.map(drop)
    }

    /// Types into what has the focus.
    pub async fn write(&self, text: &str) -> anyhow::Result<()> {
        self.call("Input.insertText", json!({"text": text})).await.map(drop)
    }

    /// Presses Tab until the focus is on an element of `css` that holds `text`; what was passed on the way.
    pub async fn tab_to(&self, css: &str, text: &str) -> anyhow::Result<Vec<String>> {
        let reached = format!("find({}, {}).includes(document.activeElement)", json!(css), json!(text));
        let mut passed = Vec::new();
        for _ in 0..200 {
            if self.eval(&reached).await? == true {
                return Ok(passed);
            }
            self.key("Tab").await?;
            passed.push(self.focus().await?);
        }
        anyhow::bail!("Tab never reaches “{text}” of {css}; it passes {passed:?}")
    }

    /// What has the focus, in words.
    pub async fn focus(&self) -> anyhow::Result<String> {
        let js = "document.activeElement === document.body ? '' : named(document.activeElement)";
        Ok(self.eval(js).await?.as_str().unwrap_or_default().to_owned())
    }
}

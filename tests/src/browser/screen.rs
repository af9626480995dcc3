//! How a page is looked at: on a desk or a phone, light or dark, with or without motion, network and scripts.

use serde_json::{Value, json};

use super::tab::Tab;

/// A screen, with mouse or with touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// 1280×800 with a mouse.
    Desk,
    /// 390×844 with touch.
    Phone,
}

impl Screen {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Desk, Self::Phone];

    /// Width and height in CSS pixels.
    pub fn size(self) -> (u32, u32) {
        match self {
            Self::Desk => (1280, 800),
            Self::Phone => (390, 844),
        }
    }
}

impl Tab {
    pub(super) async fn set_up(&self, screen: Screen) -> anyhow::Result<()> {
        let (width, height) = screen.size();
        let is_phone = screen == Screen::Phone;
        self.resize(width, height, 1.0).await?;
        let touch = json!({"enabled": is_phone, "maxTouchPoints": 5});
        self.call("Emulation.setTouchEmulationEnabled", touch).await?;
        // A tab of a headless browser has no window that could have the focus.
        self.call("Emulation.setFocusEmulationEnabled", json!({"enabled": true}))
            .await?;
        self.call("Emulation.setTimezoneOverride", json!({"timezoneId": "UTC"}))
            .await?;
        Ok(())
    }

    /// Another size; `zoom` 2 shows half as many CSS pixels, as the browser's 200 % does.
    pub async fn resize(&self, width: u32, height: u32, zoom: f64) -> anyhow::Result<()> {
        let phone = self.screen() == Screen::Phone;
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": zoom, "mobile": phone});
        self.call("Emulation.setDeviceMetricsOverride", metrics).await.map(drop)
    }

    /// `prefers-color-scheme`, `prefers-reduced-motion`, `forced-colors` and their values; none resets all.
    pub async fn prefers(&self, features: &[(&str, &str)]) -> anyhow::Result<()> {
        let features: Vec<Value> = features
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        self.call("Emulation.setEmulatedMedia", json!({"features": features}))
            .await
            .map(drop)
    }

    /// Where the browser says that it is.
    pub async fn live_in(&self, timezone: &str) -> anyhow::Result<()> {
        self.call("Emulation.setTimezoneOverride", json!({"timezoneId": timezone}))
            .await
            .map(drop)
    }

    /// Pages run no scripts from the next one on.
    pub async fn without_scripts(&self) -> anyhow::Result<()> {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": true}))
            .await
            .map(drop)
    }

    /// Cuts the network, or gives it back.
    pub async fn offline(&self, is_offline: bool) -> anyhow::Result<()> {
        let conditions = json!({"offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.call("Network.emulateNetworkConditions", conditions)
            .await
            .map(drop)
    }

    /// Throttles network and processor as Lighthouse does for this screen: a desk has 40 ms and 10 Mbit/s, a phone 150 ms, 1.6
    /// Mbit/s, and a quarter of this machine's speed.
    pub async fn throttle(&self) -> anyhow::Result<()> {
        let (latency, bits, cpu) = match self.screen() {
            Screen::Desk => (40, 10_240_000, 1),
            Screen::Phone => (150, 1_638_400, 4),
        };
        let bytes = bits / 8;
        let conditions =
            json!({"offline": false, "latency": latency, "downloadThroughput": bytes, "uploadThroughput": bytes});
        self.call("Network.emulateNetworkConditions", conditions).await?;
        self.call("Emulation.setCPUThrottlingRate", json!({"rate": cpu}))
            .await
            .map(drop)
    }
}

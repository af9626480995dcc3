//! The sections `[tokens]` and `[audit]` of the configuration.

use std::net::SocketAddr;
use std::time::Duration;

use kit::clock::millis;
use kit::config::Error;
use serde::Deserialize;

use crate::audit::Mode;
use crate::model::Policy;
use crate::sweep::Pace;

/// `[tokens]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// gRPC port.
    pub listen: SocketAddr,
    /// Where the other services find it.
    pub url: String,
    /// How often a grant is checked at its platform.
    #[serde(with = "kit::wire::human")]
    pub check_interval: Duration,
    /// How long before its end a token is renewed ahead.
    #[serde(with = "kit::wire::human")]
    pub refresh_window: Duration,
    /// Refusals that make an account amber.
    pub refresh_attempts: u32,
    /// Time between refused attempts; shrinks when the end is near.
    #[serde(with = "kit::wire::human")]
    pub attempt_spacing: Duration,
    /// How long one attempt may take.
    #[serde(with = "kit::wire::human")]
    pub refresh_deadline: Duration,
    /// When another process's attempt is taken over.
    pub takeover_after: Takeover,
    /// The sweep for what is due.
    pub sweep: Sweep,
    /// Which restore of the database this is; another one than the database knows makes what may have been spent suspect.
    pub restore_epoch: String,
}

/// `[tokens.takeover_after]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Takeover {
    /// Where a refresh may be repeated without harm.
    #[serde(with = "kit::wire::human")]
    pub repeatable: Duration,
    /// Where refresh tokens are single use.
    #[serde(with = "kit::wire::human")]
    pub single_use: Duration,
}

/// `[tokens.sweep]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// Time between two looks.
    #[serde(with = "kit::wire::human")]
    pub interval: Duration,
    /// Grants taken at a time.
    pub batch: u32,
    /// Grants worked on at a time.
    pub concurrency: u32,
}

/// `[audit]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditSection {
    /// When a read counts as audited.
    pub mode: Mode,
    /// How long reads are remembered.
    #[serde(with = "kit::wire::human")]
    pub keep: Duration,
}

impl Section {
    /// The rules of the engine, checked.
    pub fn policy(&self) -> Result<Policy, Error> {
        let wrong = |key: &str, problem: &str, remedy: &str| Err(Error::new(format!("tokens.{key}"), problem, remedy));
        if self.refresh_attempts == 0 {
            return wrong("refresh_attempts", "is 0", "set it to 1 or more");
        }
        if self.check_interval < Duration::from_secs(1) || self.refresh_deadline < Duration::from_secs(1) {
            return wrong(
                "check_interval",
                "or tokens.refresh_deadline is shorter than a second",
                "set both to 1s or more",
            );
        }
        if self.sweep.interval < Duration::from_millis(100) {
            return wrong("sweep.interval", "is shorter than 100ms", "set it to a second or more");
        }
        if self.sweep.batch == 0 || self.sweep.concurrency == 0 {
            return wrong(
                "sweep",
                "takes or works on no grants",
                "set batch and concurrency to 1 or more",
            );
        }
        // A process that was paused must be past its deadline before anybody takes its attempt over.
        if self.takeover_after.repeatable.min(self.takeover_after.single_use) <= self.refresh_deadline {
            return wrong(
                "takeover_after",
                "is not longer than tokens.refresh_deadline",
                "make it at least twice as long",
            );
        }
        Ok(Policy {
            check_interval_ms: millis(self.check_interval),
            refresh_window_ms: millis(self.refresh_window),
            refresh_attempts: i64::from(self.refresh_attempts),
            attempt_spacing_ms: millis(self.attempt_spacing),
            takeover_repeatable_ms: millis(self.takeover_after.repeatable),
            takeover_single_use_ms: millis(self.takeover_after.single_use),
            refresh_deadline_ms: millis(self.refresh_deadline),
        })
    }

    pub(crate) fn pace(&self, keep_reads: Duration) -> Pace {
        Pace {
            interval: self.sweep.interval,
            batch: i64::from(self.sweep.batch),
            concurrency: usize::try_from(self.sweep.concurrency).unwrap_or(1),
            keep_reads,
        }
    }
}

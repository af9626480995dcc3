//! How fast and whether a platform is called: one budget per app over all replicas (a token bucket in Redis, or in this
//! process when Redis is away), waits that the platform asked for, a bound on calls at a time, and a breaker. One
//! `Pace` per connector, so one platform's trouble slows no other. Whoever is not admitted is told how long to wait;
//! nothing was sent then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kit::Clock;
use kit::shared::{Budget, Shared};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::app::App;
use crate::limits::{self, Whom};

/// Trouble in a row that opens the breaker.
const TROUBLE: u32 = 10;
/// First and longest time that it stays open.
const FIRST_BREAK: Duration = Duration::from_secs(5);
const LONGEST_BREAK: Duration = Duration::from_secs(60);
/// Longest time that a probe is waited for.
const PROBE_MS: i64 = 30_000;
/// Grants that the token endpoint limits at the same time before that counts as the app's limit, and for how long it does.
const STORM: usize = 3;
const STORM_BREAK: Duration = Duration::from_secs(60);
/// Longest wait for one of the calls in flight to end.
const QUEUE: Duration = Duration::from_secs(10);

/// Permission for one call.
pub(crate) struct Permit(#[allow(dead_code, reason = "held until the call ends")] OwnedSemaphorePermit);

/// What a call showed about the platform.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Showed {
    /// It answers, be it with a refusal.
    Life,
    /// No answer, 5xx, or it does not know our app.
    Trouble,
}

/// See the file's head.
pub(crate) struct Pace {
    shared: Shared,
    clock: Clock,
    /// Names the app in shared keys: connectors with the same app share its budget.
    key: String,
    budget: Budget,
    calls: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Until when nobody is called for a subject; the empty one is the app.
    holds: HashMap<String, i64>,
    /// Grants that the token endpoint limits, until when that may be part of a storm.
    limited: HashMap<String, i64>,
    trouble: u32,
    breaks: u32,
    open_until_ms: i64,
    /// Until when a call is out that decides whether the breaker closes; its caller may have gone away.
    probe_until_ms: i64,
}

impl Pace {
    pub(crate) fn new(app: &App, shared: Shared, clock: Clock) -> Self {
        let host = app
            .api_base
            .split_once("://")
            .map_or(app.api_base.as_str(), |(_, host)| host);
        Self {
            shared,
            clock,
            key: format!("pace/{host}/{}", app.client_id),
            budget: Budget::per_minute(app.calls_per_minute),
            calls: Arc::new(Semaphore::new(app.concurrent_calls as usize)),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets one call for `subject` through, or says how long to wait before asking again.
    pub(crate) async fn admit(&self, subject: &str) -> Result<Permit, Duration> {
        let queued = tokio::time::timeout(QUEUE, Arc::clone(&self.calls).acquire_owned()).await;
        let Ok(Ok(permit)) = queued else {
            return Err(Duration::from_secs(2));
        };
        self.look(subject).await?;
        self.look_at_breaker()?;
        let now_ms = self.clock.now_ms();
        match self.shared.spend(&self.key, self.budget, now_ms).await {
            Ok(Some(wait)) => return Err(wait),
            Ok(None) => {}
            // Without Redis the bound on calls at a time and the platform's own answers keep us in check.
            Err(_) => tracing::debug!(budget = self.key, "shared budget unreachable"),
        }
        self.look_at_breaker()?;
        let mut state = self.state();
        if state.open_until_ms > 0 {
            state.probe_until_ms = now_ms + PROBE_MS;
        }
        Ok(Permit(permit))
    }

    fn look_at_breaker(&self) -> Result<(), Duration> {
        let (state, now_ms) = (self.state(), self.clock.now_ms());
        let closed_again = state.open_until_ms.max(state.probe_until_ms);
        if state.open_until_ms > 0 && closed_again > now_ms {
            Err(limits::capped(closed_again - now_ms))
        } else {
            Ok(())
        }
    }

    /// Waits that this process or another one was told.
    async fn look(&self, subject: &str) -> Result<(), Duration> {
        for who in ["", subject] {
            let now_ms = self.clock.now_ms();
            let mut until = self.state().holds.get(who).copied().unwrap_or(0);
            if until <= now_ms
                && let Ok(Some(bytes)) = self.shared.get(&self.hold_key(who)).await
                && let Ok(bytes) = <[u8; 8]>::try_from(bytes)
            {
                until = i64::from_be_bytes(bytes);
            }
            if until > now_ms {
                return Err(limits::capped(until - now_ms));
            }
            if subject.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn hold_key(&self, who: &str) -> String {
        format!("{}/hold/{}", self.key, kit::id::sha256_hex(who.as_bytes()))
    }

    /// Lets nobody through, for `whom`, until `wait` has passed.
    pub(crate) async fn hold(&self, whom: Whom, subject: &str, wait: Duration) {
        let who = if whom == Whom::App { "" } else { subject };
        let now_ms = self.clock.now_ms();
        let until = now_ms + i64::try_from(wait.as_millis()).unwrap_or(0);
        {
            let mut state = self.state();
            state.holds.retain(|_, until| *until > now_ms);
            state.holds.insert(who.to_owned(), until);
        }
        let _ = self.shared.put(&self.hold_key(who), &until.to_be_bytes(), wait).await;
    }

    /// The token endpoint limits a grant: that one waits. When it limits several at a time it means all of us.
    pub(crate) async fn limited(&self, grant: &str, wait: Duration) {
        if !grant.is_empty() {
            self.hold(Whom::Subject, grant, wait).await;
        }
        let (now_ms, pause) = (self.clock.now_ms(), wait.min(STORM_BREAK));
        let storm = {
            let mut state = self.state();
            state.limited.retain(|_, until| *until > now_ms);
            let until = now_ms + i64::try_from(pause.as_millis()).unwrap_or(0);
            state.limited.insert(grant.to_owned(), until);
            state.limited.len() >= STORM
        };
        if storm {
            self.hold(Whom::App, "", pause).await;
        }
    }

    /// Learns from a call that was let through.
    pub(crate) fn showed(&self, showed: Showed) {
        let now_ms = self.clock.now_ms();
        let mut state = self.state();
        let probe = std::mem::take(&mut state.probe_until_ms) > 0;
        match showed {
            Showed::Life => (state.trouble, state.breaks, state.open_until_ms) = (0, 0, 0),
            Showed::Trouble => {
                state.trouble += 1;
                if probe || (state.open_until_ms == 0 && state.trouble >= TROUBLE) {
                    let pause = FIRST_BREAK.saturating_mul(1 << state.breaks.min(6)).min(LONGEST_BREAK);
                    state.breaks += 1;
                    state.open_until_ms = now_ms + i64::try_from(pause.as_millis()).unwrap_or(0);
                    metrics::counter!("platforms_breaker_opened_total", "app" => self.key.clone()).increment(1);
                    tracing::warn!(
                        budget = self.key,
                        seconds = pause.as_secs(),
                        "a platform is left alone for a while"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::app;

    async fn pace(per_minute: u32) -> (Pace, Clock) {
        let clock = Clock::manual(1_790_000_000_000);
        let mut app = app("x", &["users.read"]);
        app.calls_per_minute = per_minute;
        let shared = Shared::connect("", "platforms").await.unwrap();
        (Pace::new(&app, shared, clock.clone()), clock)
    }

    #[tokio::test]
    async fn r15_no_minute_has_more_calls_than_the_budget_however_many_wait() {
        for limit in [1, 5, 60, 600] {
            let (pace, clock) = pace(limit).await;
            let (begin, mut calls) = (clock.now_ms(), Vec::new());
            // Greedy for five minutes: whoever is held back asks again as soon as it is told to.
            while clock.now_ms() < begin + 300_000 {
                match pace.admit("").await {
                    Ok(_) => calls.push(clock.now_ms()),
                    Err(wait) => clock.advance(wait),
                }
            }
            let most = calls.iter().map(|from| {
                let minute = *from..*from + 60_000;
                calls.iter().filter(|at| minute.contains(at)).count()
            });
            let most = most.max().unwrap_or(0);
            assert!(most <= limit as usize, "{most} calls in a minute of {limit}");
            assert!(
                calls.len() >= 3 * limit as usize,
                "{} calls in five minutes of {limit}",
                calls.len()
            );
        }
    }

    #[tokio::test]
    async fn r15_replicas_share_one_budget_and_connectors_of_another_app_have_their_own() {
        let (first, clock) = pace(20).await;
        let second = Pace::new(&app("x", &["users.read"]), first.shared.clone(), clock.clone());
        let mut other = app("x", &["users.read"]);
        other.client_id = "another app".into();
        let other = Pace::new(&other, first.shared.clone(), clock);
        let mut admitted = 0;
        while first.admit("").await.is_ok() {
            admitted += 1;
        }
        assert!(
            admitted > 0 && second.admit("").await.is_err(),
            "the replica finds it spent"
        );
        assert!(other.admit("").await.is_ok());
    }

    #[tokio::test]
    async fn a_wait_for_one_person_holds_back_nobody_else() {
        let (pace, clock) = pace(100).await;
        pace.hold(Whom::Subject, "page-1", Duration::from_secs(60)).await;
        assert!(pace.admit("page-1").await.is_err());
        assert!(pace.admit("page-2").await.is_ok());
        pace.hold(Whom::App, "page-1", Duration::from_secs(30)).await;
        assert!(pace.admit("page-2").await.is_err());
        clock.advance(Duration::from_secs(61));
        assert!(pace.admit("page-1").await.is_ok());
    }

    #[tokio::test]
    async fn h4_the_breaker_opens_lets_one_probe_through_and_closes() {
        let (pace, clock) = pace(1000).await;
        for _ in 0..TROUBLE {
            assert!(pace.admit("").await.is_ok());
            pace.showed(Showed::Trouble);
        }
        assert!(pace.admit("").await.is_err());
        clock.advance(FIRST_BREAK);
        assert!(pace.admit("").await.is_ok(), "one probe");
        assert!(pace.admit("").await.is_err(), "and no second");
        pace.showed(Showed::Life);
        assert!(pace.admit("").await.is_ok());
    }
}

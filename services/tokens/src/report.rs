//! Somebody says that a grant does not work: a publisher whose token was refused, or a platform that announces a withdrawal.
//!
//! A publisher's word is a reason to look, no more: one look in a few seconds and at most one refresh of a generation, and amber
//! only on proof. A platform's verified announcement is proof.

use std::time::Duration;

use proto::common::v1::ErrorClass;
use proto::platforms::v1::PlatformEvent;
use proto::platforms::v1::platform_event::Kind;

use crate::Error;
use crate::engine::Engine;
use crate::model::{Grant, Refusal};

/// One look in this time, however often a token is reported. No longer: what is seen then may end a moment later.
const CALM_MS: i64 = 3_000;
/// How long the last look is remembered.
const REMEMBERED: Duration = Duration::from_secs(60);

impl Engine {
    /// A publisher's token of `generation` was refused. Gives the grant after looking.
    pub async fn rejected(
        &self,
        workspace_id: &str,
        account_id: &str,
        generation: i64,
        said: &str,
    ) -> Result<Grant, Error> {
        let found = self.store.account(workspace_id, account_id).await?;
        let grant = found.ok_or(Error::NoSuchAccount)?.0.grant;
        // An older token than the one in use: fetching a new one is all there is to do.
        if generation != grant.generation || !grant.state.is_live() {
            return Ok(grant);
        }
        if self.looked_just_now(&grant).await {
            return Ok(grant);
        }
        tracing::info!(
            grant = grant.id,
            account = account_id,
            said = said.chars().take(80).collect::<String>(),
            "a token was refused"
        );
        metrics::counter!("tokens_reported_total", "connector" => grant.connector.clone()).increment(1);
        let checked = self.check(&grant).await?;
        // The grant works and its destination's own token does not: make a new one.
        let account = self.store.account(workspace_id, account_id).await?;
        if checked.state.is_live() && account.is_some_and(|(_, account)| account.sealed_derived.is_some()) {
            self.derive(&checked).await?;
        }
        self.latest(&grant).await
    }

    /// Somebody reported this generation a moment ago; if not, that is now. Without Redis everybody may look: checks join.
    async fn looked_just_now(&self, grant: &Grant) -> bool {
        let (mark, now) = (format!("reported:{}:{}", grant.id, grant.generation), self.now());
        let last = self.shared.get(&mark).await.ok().flatten();
        let last = last.and_then(|bytes| Some(i64::from_be_bytes(bytes.try_into().ok()?)));
        if last.is_some_and(|last| (0..CALM_MS).contains(&(now - last))) {
            return true;
        }
        // Not kept: the next report looks again, which costs a call.
        let _ = self.shared.put(&mark, &now.to_be_bytes(), REMEMBERED).await;
        false
    }

    /// A platform announced, verified, that a person withdrew a grant or parts of it. How many grants it was about.
    pub async fn announced(&self, event: &PlatformEvent) -> Result<i32, Error> {
        if event.platform_user_id.is_empty() || event.connectors.is_empty() {
            return Ok(0);
        }
        if !event.event_id.is_empty() && self.store.is_applied(&event.event_id).await? {
            return Ok(0);
        }
        let mut grants = 0;
        for stored in self
            .store
            .grants_of_person(&event.connectors, &event.platform_user_id)
            .await?
        {
            let grant = stored.grant;
            if is_older(event, grant.connected_at_ms) {
                continue;
            }
            // A dead one hears of a withdrawal only: an answer on its way must not bring it back.
            if !grant.state.is_live() && !ends(event) {
                continue;
            }
            grants += 1;
            self.announced_of(event, &grant).await?;
        }
        if !event.event_id.is_empty() {
            self.store.note_applied(&event.event_id, self.now()).await?;
        }
        Ok(grants)
    }

    async fn announced_of(&self, event: &PlatformEvent, grant: &Grant) -> Result<(), Error> {
        // Which permissions are left, the platform says when asked.
        if !ends(event) {
            return self.check(grant).await.map(|_| ());
        }
        let traits = self.platforms.traits(&grant.connector).await?;
        let detail: String = event.detail.chars().take(200).collect();
        let refusal = Refusal::new(ErrorClass::Revoked, "announced", &detail);
        let erases = event.kind() == Kind::DataDeletion;
        self.store
            .withdraw(grant, &refusal, erases, self.rules(&traits))
            .await?;
        self.spread(&grant.id).await;
        Ok(())
    }
}

/// Is the sign-in newer than what is announced? Platforms tell whole seconds: within the same one, the announcement counts.
fn is_older(event: &PlatformEvent, connected_at_ms: i64) -> bool {
    event.occurred_at_ms > 0 && event.occurred_at_ms.div_euclid(1000) < connected_at_ms.div_euclid(1000)
}

/// Does this announcement end the grant?
fn ends(event: &PlatformEvent) -> bool {
    matches!(event.kind(), Kind::Deauthorized | Kind::DataDeletion)
}

//! Asking a platform whether a grant still works and for what, and deriving the tokens of single destinations anew.
//!
//! Only proof turns anything amber: an answer that says that the grant is over, and, where a refresh token could still heal it,
//! the refresh's refusal too. A platform that cannot be asked changes nothing but `check_delayed`.

use proto::platforms::v1::Destination;

use crate::Error;
use crate::engine::Engine;
use crate::model::schedule::can_inspect;
use crate::model::sight::{Sight, View};
use crate::model::{Grant, Refusal};
use crate::refresh::Why;
use crate::store::grants::{Attached, Stored};
use crate::vault::Place;

impl Engine {
    /// Checks a grant, or joins the check that is under way. Gives the grant as it is afterwards.
    pub async fn check(&self, grant: &Grant) -> Result<Grant, Error> {
        let (workspace_id, grant_id) = (grant.workspace_id.clone(), grant.id.clone());
        let ended = self.join(format!("check:{grant_id}"), |engine| async move {
            if let Err(error) = Box::pin(engine.check_now(&workspace_id, &grant_id)).await {
                tracing::warn!(grant = grant_id, %error, "check did not run");
            }
        });
        ended.cancelled().await;
        self.latest(grant).await
    }

    async fn check_now(&self, workspace_id: &str, grant_id: &str) -> Result<(), Error> {
        let Some(stored) = self.store.grant(workspace_id, grant_id).await? else {
            return Ok(());
        };
        let grant = &stored.grant;
        if !grant.state.is_live() {
            return Ok(());
        }
        if !can_inspect(grant, self.now()) {
            // An access token that ended tells nothing, and renewing it only to look would be a risk for nothing.
            return self.postpone_check(grant).await;
        }
        let sight = self.look(&stored).await?;
        metrics::counter!("tokens_checks_total", "connector" => grant.connector.clone(), "seen" => word(&sight))
            .increment(1);
        match sight {
            // A role that came back brings a token with it; deriving says all that a check says.
            Sight::Works(view) if self.lacks_a_token(grant, &view).await? => Box::pin(self.derive(grant)).await?,
            Sight::Works(view) => {
                let traits = self.platforms.traits(&grant.connector).await?;
                let rules = self.rules(&traits);
                let key = (workspace_id, grant_id);
                self.store
                    .observe(key, grant.generation, rules.now, &view, |grant| {
                        rules.seen(grant, &view)
                    })
                    .await?;
            }
            Sight::Nothing(refusal) => self.unseen(grant, &refusal).await?,
            Sight::Gone(refusal) => Box::pin(self.gone(grant, refusal)).await?,
        }
        self.spread(grant_id).await;
        Ok(())
    }

    /// The platform gives a token to a destination that we have none of.
    async fn lacks_a_token(&self, grant: &Grant, view: &View) -> Result<bool, Error> {
        let accounts = self.store.attached(&grant.workspace_id, &grant.id).await?;
        Ok(accounts
            .iter()
            .any(|account| account.sealed_derived.is_none() && view.own_tokens.contains(&account.platform_account_id)))
    }

    /// The platform refused the access token. Where a refresh token may still heal it, one refresh tells; else it is over.
    async fn gone(&self, grant: &Grant, refusal: Refusal) -> Result<(), Error> {
        if grant.has_refresh_token {
            // What the refresh finds out it writes down itself; the next look at this grant is as planned.
            self.refresh(grant, Why::Confirm).await?;
            return self.postpone_check(grant).await;
        }
        let traits = self.platforms.traits(&grant.connector).await?;
        let rules = self.rules(&traits);
        let key = (grant.workspace_id.as_str(), grant.id.as_str());
        let changed = self.store.change(key, Some(grant.generation), rules.now, |grant| {
            grant.state.is_live().then(|| rules.die(grant, refusal.clone()))
        });
        changed.await?;
        Ok(())
    }

    async fn unseen(&self, grant: &Grant, refusal: &Refusal) -> Result<(), Error> {
        tracing::info!(
            grant = grant.id,
            connector = grant.connector,
            code = refusal.code,
            "a check did not reach the platform"
        );
        let traits = self.platforms.traits(&grant.connector).await?;
        let rules = self.rules(&traits);
        let key = (grant.workspace_id.as_str(), grant.id.as_str());
        self.store
            .change(key, Some(grant.generation), rules.now, |grant| rules.unseen(grant))
            .await?;
        Ok(())
    }

    /// Nothing can be seen now; the next check is as planned.
    async fn postpone_check(&self, grant: &Grant) -> Result<(), Error> {
        let traits = self.platforms.traits(&grant.connector).await?;
        let rules = self.rules(&traits);
        let key = (grant.workspace_id.as_str(), grant.id.as_str());
        self.store
            .change(key, None, rules.now, |grant| {
                rules.skip_check(grant);
                None
            })
            .await?;
        Ok(())
    }

    /// Looks at a grant through its platform. Changes nothing.
    pub(crate) async fn look(&self, stored: &Stored) -> Result<Sight, Error> {
        let grant = &stored.grant;
        let Some(credential) = self.store.credential(stored)? else {
            return Ok(Sight::unreachable("no credential"));
        };
        let accounts = self.store.attached(&grant.workspace_id, &grant.id).await?;
        let destinations = accounts
            .iter()
            .map(|account| self.destination(grant, account))
            .collect::<Result<_, _>>()?;
        Ok(
            match self
                .platforms
                .inspect(&grant.connector, &credential, destinations)
                .await
            {
                Ok(found) => Sight::of(&found, grant.has_refresh_token),
                Err(Error::Platforms(_)) => Sight::unreachable("platforms does not answer"),
                Err(error) => return Err(error),
            },
        )
    }

    fn destination(&self, grant: &Grant, account: &Attached) -> Result<Destination, Error> {
        let token = match &account.sealed_derived {
            Some(sealed) => {
                let place = Place(&grant.workspace_id, &account.account_id, "derived", 0);
                self.store.vault().token(place, sealed)?.expose().to_owned()
            }
            None => String::new(),
        };
        Ok(Destination {
            platform_account_id: account.platform_account_id.clone(),
            kind: account.kind.clone(),
            can_publish: account.can_publish,
            publish_problem: account.problem.clone(),
            derived_token: token,
            derived_expires_at_ms: account.derived_expires_at_ms,
            ..Destination::default()
        })
    }

    /// Derives the tokens of a grant's destinations anew: a step of its own after a refresh, repeated until it succeeds. The
    /// old ones serve meanwhile.
    pub(crate) async fn derive(&self, grant: &Grant) -> Result<(), Error> {
        let Some(stored) = self.store.grant(&grant.workspace_id, &grant.id).await? else {
            return Ok(());
        };
        let Some(credential) = self.store.credential(&stored)? else {
            return Ok(());
        };
        let traits = self.platforms.traits(&grant.connector).await?;
        let rules = self.rules(&traits);
        let derived = match self.platforms.discover(&grant.connector, &credential).await {
            Ok(found) if found.error.is_none() => {
                self.store.keep_derived(&stored.grant, &found, rules).await?.is_some()
            }
            Ok(_) | Err(Error::Platforms(_)) => false,
            Err(error) => return Err(error),
        };
        if !derived {
            tracing::info!(
                grant = grant.id,
                "tokens of destinations were not derived, trying again soon"
            );
            let key = (grant.workspace_id.as_str(), grant.id.as_str());
            self.store
                .change(key, None, rules.now, |grant| {
                    rules.replan(grant);
                    None
                })
                .await?;
        }
        self.spread(&grant.id).await;
        Ok(())
    }
}

fn word(sight: &Sight) -> &'static str {
    match sight {
        Sight::Works(_) => "works",
        Sight::Gone(_) => "gone",
        Sight::Nothing(_) => "nothing",
    }
}

//! A store alone, on each engine, and what tests put into it.

use kit::db::{Db, Engine};
use kit::seal::KeyRing;
use proto::platforms::v1::{self as platforms, Credential, Destination, DiscoverResponse, Renewal};
use proto::tokens::v1::{Attachment, RevocationState};
use tokens::model::attempt::{Owner, PROTOCOL};
use tokens::model::change::Rules;
use tokens::model::{Grant, Policy, Traits};
use tokens::store::Store;
use tokens::store::attach::Hanging;
use tokens::store::attempts::Attempt;
use tokens::store::outcome::{Applied, Late};
use tokens::vault::Vault;

use crate::hub::{NOW, Place, places};

pub(crate) const OLD: &str = "old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const NEW: &str = "new:HxEdHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) db: Db,
    pub(crate) traits: Traits,
    policy: Policy,
    _place: Place,
}

pub(crate) fn traits(shared: bool) -> Traits {
    Traits {
        renewal: if shared { Renewal::Exchange } else { Renewal::Rotating },
        repeatable_refresh: shared,
        min_refresh_age_ms: 0,
        announced_refresh: shared,
        shared_grant: shared,
        revocable: true,
        required_scopes: Vec::new(),
    }
}

pub(crate) async fn worlds(shared: bool) -> Vec<World> {
    let policy = Policy {
        check_interval_ms: 3_600_000,
        refresh_window_ms: 604_800_000,
        refresh_attempts: 3,
        attempt_spacing_ms: 86_400_000,
        takeover_repeatable_ms: 120_000,
        takeover_single_use_ms: 900_000,
        refresh_deadline_ms: 60_000,
    };
    let mut worlds = Vec::new();
    for place in places().await {
        let db = place.db().await;
        let store = Store::new(db.clone(), Vault::new(KeyRing::parse([OLD]).unwrap()));
        worlds.push(World {
            store,
            db,
            traits: traits(shared),
            policy,
            _place: place,
        });
    }
    worlds
}

pub(crate) fn credential(number: u32) -> Credential {
    Credential {
        access_token: format!("access-{number}"),
        refresh_token: format!("refresh-{number}"),
        access_expires_at_ms: NOW + 7_200_000,
        issued_at_ms: NOW,
        ..Credential::default()
    }
}

impl World {
    pub(crate) fn rules(&self) -> Rules<'_> {
        Rules {
            traits: &self.traits,
            policy: &self.policy,
            now: NOW,
        }
    }

    /// Signs in and attaches accounts `acc_<workspace>_<n>`.
    pub(crate) async fn connect(&self, workspace: &str, session: &str, accounts: usize) -> Grant {
        let request = platforms::ExchangeRequest {
            session_id: session.into(),
            connector: "c".into(),
            ..Default::default()
        };
        self.store.begin_exchange(workspace, &request, NOW).await.unwrap();
        let read = async || self.store.exchange(workspace, session).await.unwrap().unwrap();
        self.store
            .keep_exchanged(&read().await, &credential(1), &self.traits, "rev_x", NOW)
            .await
            .unwrap();
        let destinations = (0..accounts).map(|n| Destination {
            platform_account_id: format!("{n}"),
            ..Destination::default()
        });
        let destinations = destinations.collect();
        let found = DiscoverResponse {
            platform_user_id: "ada".into(),
            destinations,
            ..DiscoverResponse::default()
        };
        let kept = self.store.keep_discovered(&read().await, &found, NOW, NOW).await;
        assert!(kept.unwrap(), "somebody is ending the person's grants");
        let attachments = (0..accounts).map(|n| Attachment {
            account_id: format!("acc_{workspace}_{n}"),
            platform_account_id: format!("{n}"),
        });
        let (exchange, attachments) = (read().await, attachments.collect::<Vec<_>>());
        let grant_id = format!("grt_{workspace}");
        let hanging = Hanging {
            exchange: &exchange,
            attachments: &attachments,
            grant_id: &grant_id,
        };
        self.store.attach(&hanging, self.rules()).await.unwrap().0
    }

    pub(crate) async fn claimed(&self, grant: &Grant, id: &str) -> Attempt {
        self.store.claim(attempt(grant, id)).await.unwrap().unwrap()
    }

    pub(crate) async fn apply(&self, attempt: &Attempt, number: u32) -> Applied {
        let (revocation_id, quarantine_id) = (format!("rev_{number}"), format!("qrt_{number}"));
        let late = Late {
            revocation_id: &revocation_id,
            quarantine_id: &quarantine_id,
        };
        self.store
            .apply(attempt, &credential(number), self.rules(), late)
            .await
            .unwrap()
    }

    pub(crate) async fn now_in(&self, grant: &Grant) -> (Grant, Option<String>) {
        let stored = self.store.grant(&grant.workspace_id, &grant.id).await.unwrap().unwrap();
        let credential = self.store.credential(&stored).unwrap();
        (stored.grant, credential.map(|credential| credential.access_token))
    }

    pub(crate) async fn detach(&self, workspace: &str, n: usize) -> RevocationState {
        let (account, id) = (format!("acc_{workspace}_{n}"), format!("rev_{workspace}_{n}"));
        self.store.detach(workspace, &account, &id, self.rules()).await.unwrap()
    }

    /// Until somebody waits for a lock in PostgreSQL. SQLite has one writer at a time, and nobody sees who waits for it.
    pub(crate) async fn somebody_waits(&self) {
        let sql =
            "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        while self.db.engine() == Engine::Postgres && self.count(sql).await == 0 {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.db.pool()).await.unwrap()
    }
}

pub(crate) fn attempt(grant: &Grant, id: &str) -> Attempt {
    Attempt {
        id: id.into(),
        workspace_id: grant.workspace_id.clone(),
        grant_id: grant.id.clone(),
        parent_generation: grant.generation,
        owner: Owner {
            name: "tokens-0".into(),
            incarnation: "a".into(),
        },
        protocol: PROTOCOL,
        why: "lazy",
        retry_of: None,
        salvage_id: None,
        unknown: false,
        given_up: false,
        sealed_receipt: None,
        started_at_ms: NOW,
        deadline_at_ms: NOW + 60_000,
        trace: "".into(),
    }
}

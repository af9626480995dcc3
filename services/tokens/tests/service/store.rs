//! The store alone: what the database enforces whoever asks.

use kit::Failure;
use kit::db::{Db, Engine};
use kit::seal::KeyRing;
use proto::common::v1::ErrorClass;
use proto::platforms::v1::{self as platforms, Credential, Destination, DiscoverResponse, Renewal};
use proto::tokens::v1::{Attachment, RevocationState};
use tokens::model::attempt::{Owner, PROTOCOL};
use tokens::model::change::{Proof, Rules};
use tokens::model::{Grant, Policy, Refusal, State, Traits};
use tokens::store::Store;
use tokens::store::attach::Hanging;
use tokens::store::attempts::Attempt;
use tokens::store::outcome::{Applied, Late};
use tokens::vault::Vault;

use crate::hub::{NOW, Place, places};

const OLD: &str = "old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "new:HxEdHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) db: Db,
    pub(crate) traits: Traits,
    policy: Policy,
    _place: Place,
}

fn traits(shared: bool) -> Traits {
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

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.db.pool()).await.unwrap()
    }
}

fn attempt(grant: &Grant, id: &str) -> Attempt {
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

#[tokio::test(flavor = "multi_thread")]
async fn r1_of_sixty_four_claims_of_one_grant_one_wins() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        for round in 0..5 {
            let claims = (0..64).map(|n| {
                let (store, attempt) = (world.store.clone(), attempt(&grant, &format!("att_{round}_{n}")));
                tokio::spawn(async move { store.claim(attempt).await.unwrap().is_some() })
            });
            let won = futures_util::future::join_all(claims)
                .await
                .into_iter()
                .filter(|won| *won.as_ref().unwrap())
                .count();
            assert_eq!(won, 1);
            let open = world.store.unfinished("demo", &grant.id).await.unwrap().unwrap();
            world.store.abandon(&open, "test", NOW).await.unwrap();
        }
    }
}

#[tokio::test]
async fn r3_a_second_answer_from_the_same_parent_never_overwrites_and_its_token_is_kept_aside() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let first = world.claimed(&grant, "att_1").await;
        world.store.abandon(&first, "no answer", NOW).await.unwrap();
        let second = world.claimed(&grant, "att_2").await;
        assert!(matches!(world.apply(&second, 2).await, Applied::Renewed(_)));
        assert!(matches!(world.apply(&first, 3).await, Applied::Superseded));
        let (now, token) = world.now_in(&grant).await;
        assert_eq!((now.generation, token.as_deref()), (2, Some("access-2")));
        assert_eq!(
            world
                .count("SELECT COUNT(*) FROM quarantine WHERE state = 'sibling'")
                .await,
            1
        );
    }
}

#[tokio::test]
async fn r4_a_late_answer_of_an_attempt_that_was_given_up_is_accepted_by_lineage() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let slow = world.claimed(&grant, "att_1").await;
        world.store.abandon(&slow, "no answer", NOW).await.unwrap();
        // Another one was refused meanwhile, even believed dead.
        let other = world.claimed(&grant, "att_2").await;
        let refusal = Refusal::new(ErrorClass::Revoked, "invalid_grant", "");
        let dead = world
            .store
            .refuse(&other, &refusal, Proof::Agrees, world.rules())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(dead.state, State::Dead);
        assert!(matches!(world.apply(&slow, 5).await, Applied::Renewed(_)));
        let (now, token) = world.now_in(&grant).await;
        assert_eq!((now.state, token.as_deref()), (State::Active, Some("access-5")));
    }
}

#[tokio::test]
async fn r9_the_loser_of_a_race_is_not_believed() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let loser = world.claimed(&grant, "att_1").await;
        world.store.abandon(&loser, "no answer", NOW).await.unwrap();
        let winner = world.claimed(&grant, "att_2").await;
        let refusal = Refusal::new(ErrorClass::Revoked, "invalid_grant", "");
        let refuse = async |attempt: &Attempt| {
            world
                .store
                .refuse(attempt, &refusal, Proof::Agrees, world.rules())
                .await
                .unwrap()
        };
        assert!(refuse(&loser).await.is_none(), "another attempt is open");
        world.apply(&winner, 2).await;
        assert!(refuse(&loser).await.is_none(), "the generation moved");
        assert_eq!(world.now_in(&grant).await.0.state, State::Active);
    }
}

#[tokio::test]
async fn i10_applying_an_attempt_again_after_a_lost_commit_answer_changes_nothing() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let attempt = world.claimed(&grant, "att_1").await;
        world.apply(&attempt, 2).await;
        assert!(matches!(world.apply(&attempt, 2).await, Applied::Before));
        assert_eq!(world.now_in(&grant).await.0.generation, 2);
        assert_eq!(world.count("SELECT COUNT(*) FROM quarantine").await, 0);
    }
}

#[tokio::test]
async fn r13_a_disconnected_grant_takes_no_token_and_a_late_one_is_queued_for_its_end() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let attempt = world.claimed(&grant, "att_1").await;
        assert_eq!(world.detach("demo", 0).await, RevocationState::Queued);
        assert!(matches!(world.apply(&attempt, 2).await, Applied::Revoked));
        let (now, token) = world.now_in(&grant).await;
        assert_eq!((now.state, token), (State::Revoked, None));
        let due = world.store.lease_revocations(NOW, NOW + 1, 10).await.unwrap();
        let mut tokens: Vec<_> = due.iter().map(|due| due.credential.access_token.as_str()).collect();
        tokens.sort_unstable();
        assert_eq!(tokens, ["access-1", "access-2"]);
    }
}

#[tokio::test]
async fn i24_an_answer_of_the_lineage_before_a_reconnect_is_ignored() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let old = world.claimed(&grant, "att_1").await;
        world.store.mark_unknown(&old).await.unwrap();
        let again = world.connect("demo", "cs_2", 1).await;
        assert_eq!((again.id.as_str(), again.generation), (grant.id.as_str(), 2));
        assert!(matches!(world.apply(&old, 9).await, Applied::Superseded));
        assert_eq!(world.now_in(&grant).await.1.as_deref(), Some("access-1"));
        assert_eq!(world.count("SELECT COUNT(*) FROM quarantine").await, 0);
        world.claimed(&again, "att_2").await;
    }
}

#[tokio::test]
async fn an_answer_on_its_way_finds_its_parent_when_one_of_two_accounts_has_left() {
    for world in worlds(true).await {
        let grant = world.connect("demo", "cs_1", 2).await;
        let attempt = world.claimed(&grant, "att_1").await;
        assert_eq!(world.detach("demo", 0).await, RevocationState::Shared);
        assert_eq!(world.now_in(&grant).await.0.generation, 2);
        assert!(matches!(world.apply(&attempt, 7).await, Applied::Renewed(_)));
        let (now, token) = world.now_in(&grant).await;
        assert_eq!((now.generation, token.as_deref()), (3, Some("access-7")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workspaces_that_leave_at_once_leave_one_end_behind() {
    for world in worlds(true).await {
        let world = std::sync::Arc::new(world);
        for round in 0..4 {
            world.connect("a", &format!("cs_a{round}"), 1).await;
            world.connect("b", &format!("cs_b{round}"), 1).await;
            let leave = |workspace: &'static str| {
                let world = world.clone();
                let id = format!("rev_{workspace}_{round}");
                let account = format!("acc_{workspace}_0");
                tokio::spawn(async move {
                    world
                        .store
                        .detach(workspace, &account, &id, world.rules())
                        .await
                        .unwrap()
                })
            };
            let (a, b) = tokio::join!(leave("a"), leave("b"));
            let mut both = [a.unwrap(), b.unwrap()];
            both.sort_unstable();
            assert_eq!(
                both,
                [RevocationState::Shared, RevocationState::Queued],
                "round {round}"
            );
        }
    }
}

#[tokio::test]
async fn g8_a_credential_in_another_row_or_of_another_generation_does_not_open() {
    for world in worlds(false).await {
        let (one, other) = (
            world.connect("demo", "cs_1", 1).await,
            world.connect("other", "cs_2", 1).await,
        );
        let swap =
            "UPDATE grants SET sealed_credential = (SELECT sealed_credential FROM grants WHERE id = $1) WHERE id = $2";
        sqlx::query(swap)
            .bind(&one.id)
            .bind(&other.id)
            .execute(world.db.pool())
            .await
            .unwrap();
        let stored = world.store.grant("other", &other.id).await.unwrap().unwrap();
        let refused = Failure::from(world.store.credential(&stored).err().unwrap());
        assert_eq!(refused.code, kit::Code::Internal);
        sqlx::query("UPDATE grants SET generation = 7 WHERE id = $1")
            .bind(&one.id)
            .execute(world.db.pool())
            .await
            .unwrap();
        let stored = world.store.grant("demo", &one.id).await.unwrap().unwrap();
        assert!(world.store.credential(&stored).is_err());
    }
}

#[tokio::test]
async fn g9_an_older_credential_put_back_into_its_own_row_does_not_open() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let read = "SELECT sealed_credential FROM grants WHERE id = $1";
        let older: Vec<u8> = sqlx::query_scalar(read)
            .bind(&grant.id)
            .fetch_one(world.db.pool())
            .await
            .unwrap();
        let attempt = world.claimed(&grant, "att_1").await;
        world.apply(&attempt, 2).await;
        let current = world.store.grant("demo", &grant.id).await.unwrap().unwrap();
        assert!(world.store.credential(&current).is_ok());
        sqlx::query("UPDATE grants SET sealed_credential = $2 WHERE id = $1")
            .bind(&grant.id)
            .bind(older)
            .execute(world.db.pool())
            .await
            .unwrap();
        let back = world.store.grant("demo", &grant.id).await.unwrap().unwrap();
        assert!(world.store.credential(&back).is_err(), "a spent credential opens");
    }
}

#[tokio::test]
async fn g12_a_ring_without_a_key_that_still_seals_something_is_noticed() {
    for world in worlds(false).await {
        let with = |ring: &[&str]| {
            let ring = KeyRing::parse(ring.iter().copied()).unwrap();
            Store::new(world.db.clone(), Vault::new(ring))
        };
        let (old, both, new) = (with(&[OLD]), with(&[NEW, OLD]), with(&[NEW]));
        old.note_sealing_key().await.unwrap();
        world.connect("demo", "cs_1", 1).await;
        both.note_sealing_key().await.unwrap();
        assert!(both.missing_keys().await.unwrap().is_empty());
        assert_eq!(new.missing_keys().await.unwrap(), ["old"]);
        both.reseal().await.unwrap();
        assert!(new.missing_keys().await.unwrap().is_empty());
        assert_eq!(
            old.missing_keys().await.unwrap(),
            ["new"],
            "a replica with the old ring alone"
        );
    }
}

#[tokio::test]
async fn g10_g12_everything_is_sealed_anew_and_only_then_the_old_key_is_unused() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let rotated = Store::new(world.db.clone(), Vault::new(KeyRing::parse([NEW, OLD]).unwrap()));
        let (resealed, used) = rotated.reseal().await.unwrap();
        // The credential of the grant, and what the exchange discovered.
        assert_eq!(
            (resealed, used.into_iter().collect::<Vec<_>>()),
            (2, vec!["new".to_owned()])
        );
        let only_new = Store::new(world.db.clone(), Vault::new(KeyRing::parse([NEW]).unwrap()));
        let stored = only_new.grant("demo", &grant.id).await.unwrap().unwrap();
        assert_eq!(only_new.credential(&stored).unwrap().unwrap().access_token, "access-1");
        assert_eq!(rotated.reseal().await.unwrap().0, 0);
    }
}

#[tokio::test]
async fn e2_each_change_is_announced_with_it_and_a_lost_one_not_at_all() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let attempt = world.claimed(&grant, "att_1").await;
        assert_eq!(world.count("SELECT COUNT(*) FROM outbox").await, 1);
        // The announcement cannot be written: the change must not be either.
        sqlx::query("ALTER TABLE outbox RENAME TO hidden")
            .execute(world.db.pool())
            .await
            .unwrap();
        let late = Late {
            revocation_id: "rev_1",
            quarantine_id: "qrt_1",
        };
        assert!(
            world
                .store
                .apply(&attempt, &credential(2), world.rules(), late)
                .await
                .is_err()
        );
        sqlx::query("ALTER TABLE hidden RENAME TO outbox")
            .execute(world.db.pool())
            .await
            .unwrap();
        assert_eq!(world.now_in(&grant).await.0.generation, 1);
        world.apply(&attempt, 2).await;
        let seq = world.count("SELECT MAX(seq) FROM outbox").await;
        assert_eq!(seq, world.now_in(&grant).await.0.version);
    }
}

#[tokio::test]
async fn t1_no_method_finds_a_grant_by_another_workspaces_id() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        assert!(world.store.grant("other", &grant.id).await.unwrap().is_none());
        assert!(world.store.account("other", "acc_demo_0").await.unwrap().is_none());
        assert!(world.store.exchange("other", "cs_1").await.unwrap().is_none());
        assert!(
            world
                .store
                .claim(Attempt {
                    workspace_id: "other".into(),
                    ..attempt(&grant, "att_1")
                })
                .await
                .unwrap()
                .is_none()
        );
        world
            .store
            .detach("other", "acc_demo_0", "rev_1", world.rules())
            .await
            .unwrap();
        assert_eq!(world.now_in(&grant).await.0.generation, 1);
        let stolen = Attachment {
            account_id: "acc_demo_0".into(),
            platform_account_id: "0".into(),
        };
        let mine = world.connect("other", "cs_2", 1).await;
        let exchange = world.store.exchange("other", "cs_2").await.unwrap().unwrap();
        let hanging = Hanging {
            exchange: &exchange,
            attachments: &[stolen],
            grant_id: &mine.id,
        };
        assert!(world.store.attach(&hanging, world.rules()).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_is_found_by_index_and_leased_to_one() {
    for world in worlds(false).await {
        for n in 0..20 {
            world.connect(&format!("w{n}"), &format!("cs_{n}"), 1).await;
        }
        let (due, until) = (NOW + 4_000_000, NOW + 4_300_000);
        let hung = world.store.lease_due(due, until, 5, &["c".to_owned()]).await.unwrap();
        assert!(hung.is_empty(), "a connector that has enough to do is left alone");
        let leases = (0..8).map(|_| {
            let store = world.store.clone();
            tokio::spawn(async move { store.lease_due(due, until, 5, &[]).await.unwrap() })
        });
        let leased = futures_util::future::join_all(leases)
            .await
            .into_iter()
            .flat_map(Result::unwrap);
        let mut ids: Vec<_> = leased.map(|(_, id, _)| id).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "leased twice");
        if world.db.engine() == Engine::Sqlite {
            let plan =
                "EXPLAIN QUERY PLAN SELECT id FROM grants WHERE next_due_at_ms IS NOT NULL AND next_due_at_ms <= 5
                 ORDER BY next_due_at_ms LIMIT 3";
            let plan = sqlx::query_as::<_, (i64, i64, i64, String)>(plan)
                .fetch_one(world.db.pool())
                .await
                .unwrap()
                .3;
            assert!(plan.contains("grants_due"), "{plan}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i26_what_ends_first_is_leased_first_and_refreshes_go_before_checks() {
    for world in worlds(false).await {
        // Due since, refresh due at, end of a token that nothing outlives.
        let rows = [
            ("check", 1, 0, NOW + 50),
            ("later", 2, NOW - 5, NOW + 9_000),
            ("endless", 3, NOW - 5, 0),
            ("sooner", 4, NOW - 5, NOW + 100),
            ("not_due", 2_000, NOW - 5, NOW + 10),
        ];
        for (name, due, refresh, end) in rows {
            world.connect(name, &format!("cs_{name}"), 1).await;
            let set = "UPDATE grants SET next_due_at_ms = $2, next_refresh_at_ms = $3, access_expires_at_ms = $4,
                 has_refresh_token = 0 WHERE workspace_id = $1";
            let set = sqlx::query(set)
                .bind(name)
                .bind(NOW - 1_000 + due)
                .bind(refresh)
                .bind(end);
            set.execute(world.db.pool()).await.unwrap();
        }
        let mut order = Vec::new();
        for _ in 0..2 {
            let leased = world.store.lease_due(NOW, NOW + 600_000, 2, &[]).await.unwrap();
            order.extend(leased.into_iter().map(|(workspace, ..)| workspace));
        }
        assert_eq!(order, ["sooner", "later", "endless", "check"]);
    }
}

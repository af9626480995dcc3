//! The store alone: what the database enforces whoever asks.

use kit::db::Engine;
use proto::common::v1::ErrorClass;
use proto::platforms::v1 as platforms;
use proto::tokens::v1::{Attachment, RevocationState};
use tokens::model::change::Proof;
use tokens::model::{Refusal, State};
use tokens::store::attach::Hanging;
use tokens::store::attempts::Attempt;
use tokens::store::outcome::{Applied, Late};

use crate::hub::NOW;
use crate::world::{attempt, credential, worlds};

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

#[tokio::test(flavor = "multi_thread")]
async fn r2_a_claim_that_waited_for_the_end_of_another_attempt_does_not_begin_at_its_parent() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        world.claimed(&grant, "att_1").await;
        // The first one's answer is applied, and its commit is on the way.
        let mut tx = world.db.begin().await.unwrap();
        for sql in [
            "UPDATE grants SET generation = 2",
            "UPDATE attempts SET state = 'applied'",
        ] {
            sqlx::query(sql).execute(&mut *tx).await.unwrap();
        }
        let (store, second) = (world.store.clone(), attempt(&grant, "att_2"));
        let claiming = tokio::spawn(async move { store.claim(second).await.unwrap().is_some() });
        world.somebody_waits().await;
        tx.commit().await.unwrap();
        assert!(!claiming.await.unwrap(), "a spent token would be sent");
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
async fn a_revocation_of_all_of_a_person_waits_for_a_sign_in_of_the_workspace() {
    for world in worlds(true).await {
        world.connect("demo", "cs_1", 1).await;
        assert_eq!(world.detach("demo", 0).await, RevocationState::Queued);
        let request = platforms::ExchangeRequest {
            session_id: "cs_2".into(),
            connector: "c".into(),
            ..Default::default()
        };
        world.store.begin_exchange("demo", &request, NOW).await.unwrap();
        let due = async |now| world.store.lease_revocations(now, now + 1, 10).await.unwrap().len();
        assert_eq!(due(NOW).await, 0, "it may be the same person");
        // A lease that began before the sign-in was written does not see that one, but what it wrote to the revocation.
        assert!(world.store.hold_revocations("demo", NOW).await.unwrap());
        let exchange = world.store.exchange("demo", "cs_2").await.unwrap().unwrap();
        world.store.forget_exchange(&exchange).await.unwrap();
        assert_eq!(due(NOW).await, 0, "it was held");
        assert_eq!(due(NOW + 60_000).await, 1);
        assert!(
            !world.store.hold_revocations("demo", NOW + 60_000).await.unwrap(),
            "it is running"
        );
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

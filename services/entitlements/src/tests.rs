//! The store on SQLite, and on PostgreSQL too when `TEST_POSTGRES_URL` names one.

use std::sync::Arc;

use futures_util::future::join_all;
use kit::db::{Db, Location};
use tempfile::TempDir;

use crate::error::Error;
use crate::model::tests::catalogue;
use crate::store::{Hold, Reservation, Store};

const NOW: i64 = 1_790_000_000_000;
const LATER: i64 = NOW + 600_000;

/// The store on every engine there is, each in a workspace of its own.
async fn stores() -> Vec<(Store, String, Option<TempDir>)> {
    let workspace = kit::id::new("ws", &kit::Clock::system());
    let folder = tempfile::tempdir().unwrap();
    let mut places = vec![(Location::Folder(folder.path().to_owned()), Some(folder))];
    #[allow(
        clippy::disallowed_methods,
        reason = "tests are told by the environment where PostgreSQL is"
    )]
    if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
        places.push((Location::Postgres(url), None));
    }
    let mut stores = Vec::new();
    for (place, folder) in places {
        let db = Db::connect(&place, "entitlements", &crate::MIGRATOR).await.unwrap();
        stores.push((Store::new(db, Arc::new(catalogue())), workspace.clone(), folder));
    }
    stores
}

async fn reserve(
    store: &Store,
    workspace_id: &str,
    session_id: &str,
    user_id: &str,
    now_ms: i64,
) -> Result<bool, Error> {
    let wanted = Reservation {
        workspace_id,
        session_id,
        user_id,
        expires_at_ms: now_ms + 600_000,
    };
    store.reserve(&wanted, now_ms).await
}

async fn hold(
    store: &Store,
    workspace_id: &str,
    session_id: &str,
    accounts: &[&str],
    now_ms: i64,
) -> Result<i64, Error> {
    let accounts = accounts
        .iter()
        .map(|id| ((*id).to_owned(), "facebook".to_owned()))
        .collect::<Vec<_>>();
    let hold = Hold {
        workspace_id,
        session_id,
        accounts: &accounts,
    };
    store.hold(&hold, now_ms).await.map(|workspace| workspace.used)
}

fn is_limit<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::LimitReached { .. }))
}

#[tokio::test]
async fn an_unknown_workspace_comes_into_being_with_the_default_plan() {
    for (store, ws, _folder) in stores().await {
        let workspace = store.workspace(&ws, NOW).await.unwrap();
        assert_eq!(workspace.plan.unwrap().name, "free");
        assert_eq!((workspace.used, workspace.reserved, workspace.version), (0, 0, 1));
    }
}

#[tokio::test]
async fn j1_of_200_parallel_completions_at_limit_minus_one_exactly_one_succeeds() {
    for (store, ws, _folder) in stores().await {
        store.set_plan(&ws, "starter", NOW).await.unwrap();
        hold(&store, &ws, "cs_0", &["acc_1", "acc_2", "acc_3", "acc_4"], NOW)
            .await
            .unwrap();
        let sessions = (0..200).map(|n| (format!("cs_{n}"), format!("usr_{}", n % 7), format!("acc_new_{n}")));
        let sessions = sessions.collect::<Vec<_>>();
        for (session, user, _) in sessions.iter().take(30) {
            reserve(&store, &ws, session, user, NOW).await.unwrap();
        }
        let all = sessions
            .iter()
            .map(|(session, _, account)| async { hold(&store, &ws, session, &[account], NOW).await });
        let results = join_all(all).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        assert!(
            results.iter().all(|result| result.is_ok() || is_limit(result)),
            "{results:?}"
        );
        let workspace = store.workspace(&ws, NOW).await.unwrap();
        assert_eq!((workspace.used, workspace.reserved), (5, 0));
    }
}

#[tokio::test]
async fn when_every_slot_is_held_a_session_is_refused_with_the_limit() {
    for (store, ws, _folder) in stores().await {
        hold(&store, &ws, "cs_1", &["acc_1"], NOW).await.unwrap();
        let refused = reserve(&store, &ws, "cs_2", "usr_a", NOW).await;
        assert!(
            matches!(refused, Err(Error::LimitReached { limit: 1, used: 1 })),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_slot_that_others_only_reserved_lets_a_session_begin_but_not_overtake() {
    for (store, ws, _folder) in stores().await {
        assert!(reserve(&store, &ws, "cs_1", "usr_a", NOW).await.unwrap());
        assert!(!reserve(&store, &ws, "cs_2", "usr_b", NOW).await.unwrap());
        assert!(is_limit(&hold(&store, &ws, "cs_2", &["acc_2"], NOW).await));
        assert_eq!(hold(&store, &ws, "cs_1", &["acc_1"], NOW).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn j3_an_abandoned_reservation_lapses() {
    for (store, ws, _folder) in stores().await {
        reserve(&store, &ws, "cs_1", "usr_a", NOW).await.unwrap();
        assert_eq!(
            store.workspace(&ws, LATER).await.unwrap().reserved,
            0,
            "lapsed reservations are not shown"
        );
        assert_eq!(hold(&store, &ws, "cs_2", &["acc_2"], LATER).await.unwrap(), 1);
        let idle = format!("{ws}-idle");
        reserve(&store, &idle, "cs_1", "usr_a", NOW).await.unwrap();
        store.sweep(LATER).await.unwrap();
        assert_eq!(
            store.workspace(&idle, NOW).await.unwrap().reserved,
            0,
            "the sweep clears where nobody does anything"
        );
    }
}

#[tokio::test]
async fn a_persons_new_session_takes_over_what_their_abandoned_one_reserved() {
    for (store, ws, _folder) in stores().await {
        assert!(reserve(&store, &ws, "cs_1", "usr_a", NOW).await.unwrap());
        assert!(reserve(&store, &ws, "cs_2", "usr_a", NOW).await.unwrap());
        assert_eq!(store.workspace(&ws, NOW).await.unwrap().reserved, 1);
        assert_eq!(hold(&store, &ws, "cs_2", &["acc_1"], NOW).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn holding_is_all_or_none_and_costs_nothing_for_those_that_hold_already() {
    for (store, ws, _folder) in stores().await {
        store.set_plan(&ws, "starter", NOW).await.unwrap();
        assert_eq!(
            hold(&store, &ws, "cs_1", &["acc_1", "acc_2", "acc_3"], NOW)
                .await
                .unwrap(),
            3
        );
        assert!(is_limit(
            &hold(&store, &ws, "cs_2", &["acc_4", "acc_5", "acc_6"], NOW).await
        ));
        assert_eq!(
            hold(&store, &ws, "cs_3", &["acc_1", "acc_2", "acc_4", "acc_5"], NOW)
                .await
                .unwrap(),
            5
        );
        assert_eq!(
            hold(&store, &ws, "cs_4", &["acc_1"], NOW).await.unwrap(),
            5,
            "reconnecting at the limit works"
        );
    }
}

#[tokio::test]
async fn j4_a_downgrade_during_a_connection_is_never_exceeded() {
    for (store, ws, _folder) in stores().await {
        store.set_plan(&ws, "professional", NOW).await.unwrap();
        hold(&store, &ws, "cs_0", &["acc_1"], NOW).await.unwrap();
        reserve(&store, &ws, "cs_1", "usr_a", NOW).await.unwrap();
        store.set_plan(&ws, "free", NOW).await.unwrap();
        assert!(is_limit(&hold(&store, &ws, "cs_1", &["acc_2"], NOW).await));
        let locked = Hold {
            workspace_id: &ws,
            session_id: "cs_2",
            accounts: &[("acc_3".into(), "x".into())],
        };
        assert!(matches!(
            store.hold(&locked, NOW).await,
            Err(Error::PlatformLocked { .. })
        ));
    }
}

#[tokio::test]
async fn j5_a_downgrade_locks_the_newest_and_an_upgrade_brings_them_back() {
    for (store, ws, _folder) in stores().await {
        store.set_plan(&ws, "starter", NOW).await.unwrap();
        for n in 1..=4 {
            hold(&store, &ws, "", &[&format!("acc_{n}")], NOW + n).await.unwrap();
        }
        let downgraded = store.set_plan(&ws, "free", NOW).await.unwrap();
        assert_eq!(downgraded.locked_account_ids, ["acc_2", "acc_3", "acc_4"]);
        assert_eq!((downgraded.used, downgraded.version), (1, 3));
        let chosen = store.set_active(&ws, &["acc_3".into()], NOW).await.unwrap();
        assert_eq!(chosen.locked_account_ids, ["acc_1", "acc_2", "acc_4"]);
        store.release(&ws, "acc_3", NOW).await.unwrap();
        let moved = store.workspace(&ws, NOW).await.unwrap();
        assert_eq!(
            moved.locked_account_ids,
            ["acc_2", "acc_4"],
            "the oldest moves into the free slot"
        );
        let upgraded = store.set_plan(&ws, "starter", NOW).await.unwrap();
        assert_eq!((upgraded.used, upgraded.locked_account_ids.len()), (3, 0));
    }
}

#[tokio::test]
async fn releasing_twice_gives_back_once() {
    for (store, ws, _folder) in stores().await {
        hold(&store, &ws, "", &["acc_1"], NOW).await.unwrap();
        store.release(&ws, "acc_1", NOW).await.unwrap();
        store.release(&ws, "acc_1", NOW).await.unwrap();
        reserve(&store, &ws, "cs_1", "usr_a", NOW).await.unwrap();
        store.release(&ws, "cs_1", NOW).await.unwrap();
        store.release(&ws, "cs_1", NOW).await.unwrap();
        let workspace = store.workspace(&ws, NOW).await.unwrap();
        assert_eq!((workspace.used, workspace.reserved), (0, 0));
    }
}

#[tokio::test]
async fn c14_two_workspaces_with_the_same_ids_do_not_see_each_other() {
    for (store, ws, _folder) in stores().await {
        let other = format!("{ws}-b");
        hold(&store, &ws, "cs_1", &["acc_1"], NOW).await.unwrap();
        assert_eq!(hold(&store, &other, "cs_1", &["acc_1"], NOW).await.unwrap(), 1);
        store.release(&other, "acc_1", NOW).await.unwrap();
        assert_eq!(store.workspace(&ws, NOW).await.unwrap().used, 1);
        assert!(matches!(
            store.set_active(&other, &["acc_1".into()], NOW).await,
            Err(Error::AccountNotFound)
        ));
    }
}

#[test]
fn the_policy_names_every_rpc() {
    let descriptors = <prost_types::FileDescriptorSet as prost::Message>::decode(proto::DESCRIPTORS).unwrap();
    let services = descriptors
        .file
        .iter()
        .filter(|file| file.package() == "socializioz.entitlements.v1")
        .flat_map(|file| &file.service);
    for method in services.flat_map(|service| &service.method) {
        assert!(
            crate::POLICY.iter().any(|rule| rule.rpc == method.name()),
            "{} has no rule",
            method.name()
        );
    }
}

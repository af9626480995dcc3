//! Events, notifications, history, idempotency keys and preferences.

use std::time::Duration;

use futures_util::future::join_all;
use proto::accounts::v1 as pb;
use proto::accounts::v1::claim_request_response::Outcome;
use proto::accounts::v1::watch_events_response::Item;
use proto::tokens::v1::GrantChangeCause as Cause;
use tokio_stream::StreamExt;

use super::{World, everywhere};

async fn items(world: &World, after: Option<i64>, count: usize) -> Vec<Item> {
    let stream = world.hub.watch(&world.workspace, after).await.unwrap();
    let items = stream
        .take(count)
        .map(|item| item.unwrap().item.unwrap())
        .collect::<Vec<_>>();
    tokio::time::timeout(Duration::from_secs(10), items).await.unwrap()
}

fn ids(items: &[Item]) -> Vec<i64> {
    items
        .iter()
        .filter_map(|item| {
            if let Item::Event(event) = item {
                Some(event.id)
            } else {
                None
            }
        })
        .collect()
}

#[tokio::test]
async fn e4_a_stream_resumes_after_the_event_that_was_seen_last() {
    everywhere(|world| async move {
        world.connect("x").await;
        let seq = world.hub.store.seq(&world.workspace).await.unwrap();
        let seen = items(&world, Some(1), usize::try_from(seq).unwrap()).await;
        assert_eq!(seen[0], Item::StartedAfter(1));
        assert_eq!(ids(&seen), (2..=seq).collect::<Vec<_>>());
        let Some(Item::Event(event)) = seen
            .iter()
            .find(|item| matches!(item, Item::Event(event) if event.r#type == "account.connected"))
        else {
            panic!("no account.connected in {seen:?}")
        };
        assert_eq!(event.account.as_ref().unwrap().id, event.account_id);
    })
    .await;
}

#[tokio::test]
async fn c13_a_stream_carries_no_event_of_another_workspace() {
    everywhere(|world| async move {
        let other = format!("{}_other", world.workspace);
        let write = async |workspace: &str| {
            for number in 0..100 {
                let mut tx = world.hub.store.change(workspace, world.clock.now_ms()).await.unwrap();
                tx.note("account.updated", serde_json::json!({ "number": number }), workspace)
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
            }
        };
        let watching = items(&world, Some(0), 101);
        let (seen, (), ()) = tokio::join!(watching, write(&world.workspace), write(&other));
        let of = |item: &Item| match item {
            Item::Event(event) => Some((event.workspace_id.clone(), event.actor_name.clone())),
            _ => None,
        };
        let owners: Vec<_> = seen.iter().filter_map(of).collect();
        assert_eq!(owners, vec![(world.workspace.clone(), world.workspace.clone()); 100]);
    })
    .await;
}

#[tokio::test]
async fn k4_a_stream_that_cannot_resume_says_so_and_goes_on() {
    everywhere(|world| async move {
        world.connect("x").await;
        let seq = world.hub.store.seq(&world.workspace).await.unwrap();
        assert_eq!(
            items(&world, Some(seq + 5), 2).await[1],
            Item::SyncRequired(seq),
            "the future"
        );
        world.clock.advance(Duration::from_secs(3 * 24 * 3600));
        world
            .hub
            .store
            .prune(48 * 3_600_000, world.clock.now_ms())
            .await
            .unwrap();
        assert_eq!(
            items(&world, Some(0), 2).await[1],
            Item::SyncRequired(seq),
            "no longer kept"
        );
        let account = world.accounts().await.remove(0);
        let request = pb::ListHistoryRequest {
            workspace_id: world.workspace.clone(),
            account_id: account.id,
            ..Default::default()
        };
        let history = world.hub.history(&request).await.unwrap();
        assert_eq!(
            history.events[0].r#type, "account.connected",
            "an account's history outlives the stream"
        );
    })
    .await;
}

#[tokio::test]
async fn a_live_stream_hears_of_a_change_at_once_and_only_of_its_workspace() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        let mut stream = world.hub.watch(&world.workspace, None).await.unwrap();
        let mut foreign = world.hub.watch("somewhere-else", None).await.unwrap();
        assert!(matches!(
            stream.next().await.unwrap().unwrap().item,
            Some(Item::StartedAfter(_))
        ));
        assert!(foreign.next().await.is_some());
        world.change(&account, Cause::Refreshed, |_| {}).await;
        let told = tokio::time::timeout(Duration::from_secs(5), stream.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert!(matches!(told.item, Some(Item::Event(event)) if event.toast == "token_refreshed"));
        assert!(
            tokio::time::timeout(Duration::from_millis(50), foreign.next())
                .await
                .is_err()
        );
    })
    .await;
}

#[tokio::test]
async fn e3_k2_parallel_writers_leave_no_gap_and_no_reader_skips() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        let start = world.hub.store.seq(&world.workspace).await.unwrap();
        let mut stream = world.hub.watch(&world.workspace, Some(start)).await.unwrap();
        let set = |n: i64| {
            let scheduled = Some(pb::ScheduledPosts {
                count: n,
                next_at_ms: n,
            });
            pb::SetScheduledPostsRequest {
                workspace_id: world.workspace.clone(),
                account_id: account.id.clone(),
                scheduled,
            }
        };
        let requests = (1..=40).map(set).collect::<Vec<_>>();
        for done in join_all(requests.iter().map(|request| world.hub.set_scheduled(request))).await {
            done.unwrap();
        }
        stream.next().await.unwrap().unwrap();
        for expected in start + 1..=start + 40 {
            let item = tokio::time::timeout(Duration::from_secs(5), stream.next())
                .await
                .unwrap()
                .unwrap()
                .unwrap()
                .item;
            assert!(matches!(item, Some(Item::Event(event)) if event.id == expected));
        }
    })
    .await;
}

#[tokio::test]
async fn a_read_after_a_change_never_shows_what_was_before_it() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        for n in 1..=30 {
            let scheduled = Some(pb::ScheduledPosts {
                count: n,
                next_at_ms: n,
            });
            let request = pb::SetScheduledPostsRequest {
                workspace_id: world.workspace.clone(),
                account_id: account.id.clone(),
                scheduled,
            };
            let readers = (0..4).map(|_| world.accounts());
            let (written, _) = tokio::join!(world.hub.set_scheduled(&request), join_all(readers));
            written.unwrap();
            assert_eq!(world.accounts().await[0].scheduled.unwrap().count, n);
        }
    })
    .await;
}

#[tokio::test]
async fn p2_an_idempotency_key_runs_once_and_answers_the_same() {
    everywhere(|world| async move {
        let claim = |workspace: &str, hash: u8| pb::ClaimRequestRequest {
            workspace_id: workspace.into(),
            key: "k".into(),
            request_hash: vec![hash; 32],
        };
        let (here, there) = (world.workspace.clone(), format!("{}-b", world.workspace));
        let twins =
            join_all((0..20).map(|_| async { world.hub.claim_request(&claim(&here, 1)).await.unwrap().outcome() }))
                .await;
        assert_eq!(twins.iter().filter(|outcome| **outcome == Outcome::Claimed).count(), 1);
        assert!(
            twins
                .iter()
                .all(|outcome| matches!(outcome, Outcome::Claimed | Outcome::InProgress))
        );
        let answer = pb::StoredAnswer {
            status: 201,
            body: b"made".to_vec(),
            ..Default::default()
        };
        world.hub.store.finish(&here, "k", Some(&answer)).await.unwrap();
        let again = world.hub.claim_request(&claim(&here, 1)).await.unwrap();
        assert_eq!((again.outcome(), again.answer), (Outcome::Replay, Some(answer)));
        assert_eq!(
            world.hub.claim_request(&claim(&here, 2)).await.unwrap().outcome(),
            Outcome::Mismatch
        );
        assert_eq!(
            world.hub.claim_request(&claim(&there, 2)).await.unwrap().outcome(),
            Outcome::Claimed,
            "another workspace"
        );
        world.hub.store.finish(&there, "k", None).await.unwrap();
        assert_eq!(
            world.hub.claim_request(&claim(&there, 3)).await.unwrap().outcome(),
            Outcome::Claimed,
            "given back"
        );
        world.clock.advance(Duration::from_secs(25 * 3600));
        assert_eq!(
            world.hub.claim_request(&claim(&here, 9)).await.unwrap().outcome(),
            Outcome::Claimed,
            "a day later"
        );
    })
    .await;
}

#[tokio::test]
async fn a_notification_is_read_by_one_person_at_a_time() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        let member = world.person("usr_member", kit::Role::Member);
        let ask = pb::RequestReconnectRequest {
            workspace_id: world.workspace.clone(),
            account_id: account.id,
        };
        world.hub.request_reconnect(&member, &ask).await.unwrap();
        let request = pb::ListNotificationsRequest {
            workspace_id: world.workspace.clone(),
            ..Default::default()
        };
        let list = world.hub.notifications(&world.owner(), &request).await.unwrap();
        let asked = &list.notifications[0];
        assert_eq!(
            (asked.kind.as_str(), asked.actor_name.as_str(), list.unread),
            ("reconnect_requested", "usr_member", 1)
        );
        world
            .hub
            .store
            .mark_read(&world.workspace, "usr_owner", &asked.id)
            .await
            .unwrap();
        assert_eq!(
            world.hub.notifications(&world.owner(), &request).await.unwrap().unread,
            0
        );
        assert_eq!(world.hub.notifications(&member, &request).await.unwrap().unread, 1);
        assert!(
            world
                .hub
                .store
                .mark_read("elsewhere", "usr_owner", &asked.id)
                .await
                .is_err()
        );
    })
    .await;
}

#[tokio::test]
async fn preferences_merge_tours_and_keep_what_is_not_set() {
    everywhere(|world| async move {
        let user = format!("usr_{}", world.workspace);
        let tours = [("connections".to_owned(), "completed".to_owned())].into();
        let first = pb::Preferences {
            locale: "ar".into(),
            timezone: String::new(),
            tours,
        };
        world.hub.set_preferences(&user, Some(first)).await.unwrap();
        let tours = [("composer".to_owned(), "dismissed".to_owned())].into();
        let both = world
            .hub
            .set_preferences(
                &user,
                Some(pb::Preferences {
                    tours,
                    ..Default::default()
                }),
            )
            .await
            .unwrap();
        assert_eq!((both.locale.as_str(), both.tours.len()), ("ar", 2));
        let wrong = pb::Preferences {
            locale: "xx".into(),
            ..Default::default()
        };
        assert!(world.hub.set_preferences(&user, Some(wrong)).await.is_err());
    })
    .await;
}

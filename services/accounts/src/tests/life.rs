//! The account's life: grant changes, incidents, disconnect and return, posts, checks, plans, tenancy.

use kit::{Code, Role};
use proto::accounts::v1 as pb;
use proto::common::v1::{ErrorClass, PlatformError};
use proto::platforms::v1::Post;
use proto::tokens::v1::{GrantChangeCause as Cause, GrantState, RevocationState};

use super::{World, code, everywhere};

fn dead(class: ErrorClass) -> impl FnOnce(&mut proto::tokens::v1::Grant) {
    move |grant| {
        grant.state = GrantState::Dead.into();
        grant.dead = Some(PlatformError {
            class: class.into(),
            ..Default::default()
        });
    }
}

fn disconnect(world: &World, id: &str) -> pb::DisconnectRequest {
    pb::DisconnectRequest {
        workspace_id: world.workspace.clone(),
        account_id: id.into(),
        if_version: 0,
    }
}

#[tokio::test]
async fn an_incident_toasts_once_from_its_first_moment_to_its_end() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        world.change(&account, Cause::Died, dead(ErrorClass::NotExtended)).await;
        world.change(&account, Cause::Expired, dead(ErrorClass::Expired)).await;
        assert_eq!(world.toasts().await, ["reconnect_required"]);
        assert_eq!(
            world.accounts().await[0].health.as_ref().unwrap().reasons[0].code,
            "token_expired"
        );
        world.reconnect(&account).await;
        assert_eq!(
            world.accounts().await[0].health.as_ref().unwrap().status(),
            pb::HealthStatus::Healthy
        );
        world.change(&account, Cause::Expired, dead(ErrorClass::Expired)).await;
        assert_eq!(world.toasts().await, ["reconnect_required", "token_expired"]);
        let request = pb::ListNotificationsRequest {
            workspace_id: world.workspace.clone(),
            ..Default::default()
        };
        let list = world.hub.notifications(&world.owner(), &request).await.unwrap();
        assert_eq!(
            (list.notifications.len(), list.unread),
            (2, 2),
            "everything a toast said is kept"
        );
    })
    .await;
}

#[tokio::test]
async fn e1_a_change_that_is_delivered_again_or_late_changes_nothing() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        let refreshed = world
            .grant_change(&account, Cause::Refreshed, |grant| grant.last_refreshed_at_ms = 9)
            .await;
        world
            .change(&account, Cause::Died, |grant| {
                grant.version += 1;
                dead(ErrorClass::Revoked)(grant);
            })
            .await;
        let before = world.events().await.len();
        world.hub.apply_grant_change(&refreshed).await.unwrap();
        assert_eq!(world.events().await.len(), before);
        assert_eq!(
            world.accounts().await[0].health.as_ref().unwrap().reasons[0].code,
            "access_revoked"
        );
    })
    .await;
}

#[tokio::test]
async fn an_announced_refresh_toasts_and_refusals_show_as_a_neutral_line() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        world
            .change(&account, Cause::RefreshFailed, |grant| grant.failed_attempts = 1)
            .await;
        let seen = &world.accounts().await[0];
        let health = seen.health.as_ref().unwrap();
        assert_eq!(
            (
                health.status(),
                health.notices[0].code.as_str(),
                health.notices[0].attempt
            ),
            (pb::HealthStatus::Healthy, "refresh_pending", 1)
        );
        world
            .change(&account, Cause::Refreshed, |grant| grant.failed_attempts = 0)
            .await;
        assert_eq!(world.toasts().await, ["token_refreshed"]);
        assert_eq!(
            world
                .events()
                .await
                .iter()
                .filter(|event| event.r#type == "account.refresh_attempt_failed")
                .count(),
            1
        );
    })
    .await;
}

#[tokio::test]
async fn k6_an_account_that_flaps_is_told_of_three_times_an_hour() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        for _ in 0..10 {
            world.change(&account, Cause::Died, dead(ErrorClass::Revoked)).await;
            world
                .change(&account, Cause::Checked, |grant| {
                    grant.state = GrantState::Active.into();
                    grant.dead = None;
                })
                .await;
        }
        assert_eq!(world.toasts().await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_disconnect_destroys_tokens_before_it_answers_and_the_account_returns_under_its_id() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        let post = Post {
            platform_post_id: "p1".into(),
            published_at_ms: 1,
            ..Default::default()
        };
        world
            .hub
            .store
            .remember(&world.workspace, &account.id, &[post])
            .await
            .unwrap();
        let gone = world
            .hub
            .disconnect(&world.owner(), &disconnect(&world, &account.id))
            .await
            .unwrap();
        assert_eq!(
            (gone.status(), gone.revocation()),
            (pb::AccountStatus::Disconnected, RevocationState::Queued)
        );
        assert_eq!(world.fakes.state().detached, [account.id.as_str()]);
        assert!(world.fakes.state().held.is_empty() && world.accounts().await.is_empty());
        world
            .hub
            .disconnect(&world.owner(), &disconnect(&world, &account.id))
            .await
            .unwrap();
        assert_eq!(world.fakes.state().detached.len(), 1, "twice is once");
        let request = pb::ListRecentPostsRequest {
            workspace_id: world.workspace.clone(),
            account_id: account.id.clone(),
            ..Default::default()
        };
        let posts = world
            .hub
            .recent_posts(&world.context(&world.owner()), &request)
            .await
            .unwrap();
        assert_eq!((posts.posts.len(), posts.remembered), (1, true), "posts stay readable");
        assert_eq!(world.connect("facebook").await.id, account.id);
    })
    .await;
}

#[tokio::test]
async fn a_disconnect_that_tokens_cannot_finish_says_so_and_is_finished_later() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        world.fakes.state().down = true;
        assert_eq!(
            code(
                world
                    .hub
                    .disconnect(&world.owner(), &disconnect(&world, &account.id))
                    .await
            ),
            Code::Unavailable
        );
        assert!(world.accounts().await.is_empty(), "it is disconnected all the same");
        world.fakes.state().down = false;
        world.clock.advance(std::time::Duration::from_secs(10));
        world.hub.tidy().await.unwrap();
        assert_eq!(world.fakes.state().detached, [account.id.as_str()]);
        assert!(world.fakes.state().released.contains(&account.id));
    })
    .await;
}

#[tokio::test]
async fn a_disconnect_of_an_older_version_is_refused() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        let stale = pb::DisconnectRequest {
            if_version: account.version + 7,
            ..disconnect(&world, &account.id)
        };
        assert_eq!(
            code(world.hub.disconnect(&world.owner(), &stale).await),
            Code::PreconditionFailed
        );
        let known = pb::DisconnectRequest {
            if_version: account.version,
            ..disconnect(&world, &account.id)
        };
        assert!(world.hub.disconnect(&world.owner(), &known).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn posts_are_asked_at_the_platform_and_remembered_for_when_it_is_down() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        let post = |n: i64| Post {
            platform_post_id: format!("p{n}"),
            published_at_ms: n,
            ..Default::default()
        };
        world.fakes.state().posts = (1..=3).map(post).collect();
        let context = world.context(&world.owner());
        let mut request = pb::ListRecentPostsRequest {
            workspace_id: world.workspace.clone(),
            account_id: account.id,
            limit: 2,
            cursor: String::new(),
        };
        assert!(!world.hub.recent_posts(&context, &request).await.unwrap().remembered);
        world.fakes.state().down = true;
        let page = world.hub.recent_posts(&context, &request).await.unwrap();
        assert_eq!((page.remembered, page.posts[0].platform_post_id.as_str()), (true, "p3"));
        request.cursor = page.next_cursor;
        assert_eq!(
            world.hub.recent_posts(&context, &request).await.unwrap().posts[0].platform_post_id,
            "p1"
        );
        request.account_id = world.connect("x").await.id;
        request.cursor = String::new();
        assert_eq!(
            code(world.hub.recent_posts(&context, &request).await),
            Code::CapabilityNotSupported
        );
    })
    .await;
}

#[tokio::test]
async fn publishing_needs_an_account_that_can() {
    everywhere(|world| async move {
        let account = world.connect("x").await;
        let context = world.context(&world.owner());
        let request = pb::CreatePostRequest {
            workspace_id: world.workspace.clone(),
            account_id: account.id.clone(),
            text: "Hello".into(),
            image_url: String::new(),
        };
        assert_eq!(
            world
                .hub
                .create_post(&context, &request)
                .await
                .unwrap()
                .platform_post_id,
            "p_new"
        );
        assert_eq!(
            world
                .hub
                .store
                .posts(&world.workspace, &account.id, None, 9)
                .await
                .unwrap()
                .len(),
            1
        );
        let empty = pb::CreatePostRequest {
            text: " ".into(),
            ..request.clone()
        };
        assert_eq!(
            code(world.hub.create_post(&context, &empty).await),
            Code::ValidationFailed
        );
        world.change(&account, Cause::Died, dead(ErrorClass::Revoked)).await;
        assert_eq!(
            code(world.hub.create_post(&context, &request).await),
            Code::TokenUnavailable
        );
    })
    .await;
}

#[tokio::test]
async fn checks_are_asked_for_at_most_every_ten_seconds_and_by_open_pages_every_interval() {
    everywhere(|world| async move {
        let request = |trigger: pb::CheckTrigger| pb::CheckHealthRequest {
            workspace_id: world.workspace.clone(),
            trigger: trigger.into(),
            account_id: String::new(),
        };
        let context = world.context(&world.owner());
        assert!(
            world
                .hub
                .check_health(&context, &request(pb::CheckTrigger::Open))
                .await
                .unwrap()
                .started
        );
        assert!(
            !world
                .hub
                .check_health(&context, &request(pb::CheckTrigger::Open))
                .await
                .unwrap()
                .started
        );
        assert!(
            world
                .hub
                .check_health(&context, &request(pb::CheckTrigger::Person))
                .await
                .unwrap()
                .started
        );
        assert_eq!(
            code(
                world
                    .hub
                    .check_health(&context, &request(pb::CheckTrigger::Person))
                    .await
            ),
            Code::RateLimited
        );
        world.clock.advance(std::time::Duration::from_secs(11));
        assert!(
            world
                .hub
                .check_health(&context, &request(pb::CheckTrigger::Person))
                .await
                .unwrap()
                .started
        );
        world
            .until("three checks", |world| world.fakes.state().checks == 3)
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_plan_change_locks_and_unlocks_and_an_old_one_does_nothing() {
    everywhere(|world| async move {
        let account = world.connect("x").await;
        let plan = |version: i64, locked: &[&str]| proto::entitlements::v1::Workspace {
            workspace_id: world.workspace.clone(),
            version,
            locked_account_ids: locked.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        world.hub.apply_plan_change(&plan(3, &[&account.id])).await.unwrap();
        let locked = world.accounts().await.remove(0);
        assert_eq!(
            (locked.plan_locked, locked.publish_problem.as_str()),
            (true, "plan_locked")
        );
        assert_eq!(
            locked.health.unwrap().status(),
            pb::HealthStatus::Healthy,
            "a lock is no health"
        );
        world.hub.apply_plan_change(&plan(2, &[])).await.unwrap();
        assert!(world.accounts().await[0].plan_locked);
        world.hub.apply_plan_change(&plan(4, &[])).await.unwrap();
        assert!(world.accounts().await[0].can_publish);
    })
    .await;
}

#[tokio::test]
async fn c1_c4_another_workspaces_account_equals_one_that_never_existed() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        let mut other = world.owner();
        other.workspace_id = format!("{}-b", world.workspace);
        let context = world.context(&other);
        let (ws, id) = (other.workspace_id.clone(), account.id.clone());
        let account_ids = vec![id.clone()];
        let health = pb::GetHealthRequest {
            workspace_id: ws.clone(),
            account_ids,
        };
        assert_eq!(code(world.hub.health(&health).await), Code::AccountNotFound);
        assert_eq!(code(world.hub.account(&ws, &id).await), Code::AccountNotFound);
        let request = pb::DisconnectRequest {
            workspace_id: ws.clone(),
            account_id: id.clone(),
            if_version: 0,
        };
        assert_eq!(
            code(world.hub.disconnect(&other, &request).await),
            Code::AccountNotFound
        );
        let request = pb::GetDiagnosticsRequest {
            workspace_id: ws.clone(),
            account_id: id.clone(),
        };
        assert_eq!(
            code(world.hub.diagnostics(&context, &request).await),
            Code::AccountNotFound
        );
        let request = pb::ListHistoryRequest {
            workspace_id: ws.clone(),
            account_id: id.clone(),
            ..Default::default()
        };
        assert_eq!(code(world.hub.history(&request).await), Code::AccountNotFound);
        let request = pb::RequestReconnectRequest {
            workspace_id: ws.clone(),
            account_id: id,
        };
        assert_eq!(
            code(world.hub.request_reconnect(&other, &request).await),
            Code::AccountNotFound
        );
        assert_eq!(world.hub.store.seq(&ws).await.unwrap(), 0, "nothing was written there");
        assert_eq!(world.accounts().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn admins_see_granted_missing_and_unasked_scopes_of_meta_accounts() {
    everywhere(|world| async move {
        let account = world.connect("facebook").await;
        world.fakes.state().found.granted_scopes = vec!["read".into()];
        let request = |id: &str| pb::GetDiagnosticsRequest {
            workspace_id: world.workspace.clone(),
            account_id: id.into(),
        };
        let context = world.context(&world.person("usr_admin", Role::Admin));
        let seen = world.hub.diagnostics(&context, &request(&account.id)).await.unwrap();
        assert_eq!(
            (
                seen.granted[0].name.as_str(),
                seen.missing[0].name.as_str(),
                seen.other_granted
            ),
            ("read", "write", vec!["unasked".into()])
        );
        world.reach(&["other"]);
        let x = world.connect("x").await;
        assert_eq!(
            code(world.hub.diagnostics(&context, &request(&x.id)).await),
            Code::CapabilityNotSupported
        );
    })
    .await;
}

//! The account's life: grant changes, incidents, checks, plans, tenancy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kit::{Code, Role};
use proto::accounts::v1 as pb;
use proto::common::v1::{ErrorClass, PlatformError};
use proto::tokens::v1::{GrantChangeCause as Cause, GrantState};

use super::{code, everywhere};

pub(super) fn dead(class: ErrorClass) -> impl FnOnce(&mut proto::tokens::v1::Grant) {
    move |grant| {
        grant.state = GrantState::Dead.into();
        grant.dead = Some(PlatformError {
            class: class.into(),
            ..Default::default()
        });
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
async fn e1_k8_a_change_that_is_delivered_again_or_late_changes_nothing() {
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

#[tokio::test]
async fn a_change_that_is_tried_again_is_counted_once() {
    everywhere(|world| async move {
        let counted = Arc::new(AtomicU64::new(0));
        for is_committed in [false, true, false] {
            let now = world.clock.now_ms();
            let mut tx = world.hub.store.change(&world.workspace, now).await.unwrap();
            tx.count(metrics::Counter::from_arc(counted.clone()));
            assert_eq!(counted.swap(0, Ordering::Relaxed), 0, "before the commit");
            if is_committed {
                tx.commit().await.unwrap();
            } else {
                drop(tx);
            }
            assert_eq!(counted.swap(0, Ordering::Relaxed), u64::from(is_committed));
        }
    })
    .await;
}

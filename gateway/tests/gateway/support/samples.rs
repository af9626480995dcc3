//! What the imitated services know.

use proto::accounts::v1::{
    Account, AccountStatus, Channel, ConnectSession, GetAccountResponse, Health, HealthStatus, ListAccountsResponse,
    MissingPermission, Reason, ScheduledPosts, SessionStatus,
};
use proto::entitlements::v1::{ListPlansResponse, Plan};
use proto::platforms::v1::{Connector, ListPlatformsResponse, Platform};

use super::fake::Answers;

/// Two platforms, two plans.
pub(crate) fn catalogue(answers: &Answers) {
    let platform = |id: &str, connectable| Platform {
        id: id.into(),
        title: id.into(),
        short_title: id.into(),
        connectors: vec![Connector {
            id: id.into(),
            method: "oauth".into(),
            dialog_origin: "https://dialog.example".into(),
            ..Connector::default()
        }],
        capabilities: vec!["publish".into(), "analytics".into()],
        connectable,
        token_diagnostics: false,
        settings_hint: String::new(),
    };
    let platforms = vec![platform("x", true), platform("telegram", false)];
    answers.always("ListPlatforms", ListPlatformsResponse { platforms });
    let plan = Plan {
        name: "free".into(),
        title: "Free".into(),
        max_accounts: Some(1),
        ..Plan::default()
    };
    let professional = Plan {
        name: "professional".into(),
        platforms: vec!["x".into()],
        ..Plan::default()
    };
    answers.always(
        "ListPlans",
        ListPlansResponse {
            plans: vec![plan, professional],
        },
    );
}

/// An amber account of workspace `acme`.
pub(crate) fn account() -> Account {
    Account {
        id: "acc_1".into(),
        workspace_id: "acme".into(),
        platform: "x".into(),
        connector: "x".into(),
        kind: "x_user".into(),
        display_name: "Acme Bakery".into(),
        username: "acmebakery".into(),
        status: AccountStatus::Connected.into(),
        connected_at_ms: 1_786_525_200_000,
        connected_by_id: "usr_1".into(),
        connected_by_name: "Dana".into(),
        health: Some(Health {
            status: HealthStatus::NeedsReconnect.into(),
            reasons: vec![Reason {
                code: "permission_missing".into(),
                permissions: vec![MissingPermission {
                    scope: "tweet.write".into(),
                    label: "publish content".into(),
                }],
                blocks: vec!["publish".into()],
                fix: "reconnect".into(),
                ..Reason::default()
            }],
            ..Health::default()
        }),
        publish_problem: "permission_missing".into(),
        scheduled: Some(ScheduledPosts {
            count: 4,
            next_at_ms: 1_790_100_000_000,
        }),
        version: 7,
        ..Account::default()
    }
}

/// The account is there, alone and in the list.
pub(crate) fn one_account(answers: &Answers) {
    answers.always(
        "GetAccount",
        GetAccountResponse {
            account: Some(account()),
        },
    );
    let list = ListAccountsResponse {
        accounts: vec![account()],
        next_cursor: "more".into(),
        version: 3,
    };
    answers.always("ListAccounts", list);
}

/// A session of workspace `acme`.
pub(crate) fn session(channel: Channel, status: SessionStatus) -> ConnectSession {
    ConnectSession {
        id: "cs_1".into(),
        workspace_id: "acme".into(),
        platform: "x".into(),
        connector: "x".into(),
        channel: channel.into(),
        return_to: "overview".into(),
        status: status.into(),
        ..ConnectSession::default()
    }
}

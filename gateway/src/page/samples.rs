//! Sample accounts in every state, for the gallery of development mode and for tests. Made-up people and numbers only.

use proto::accounts::v1::{
    Account, AccountStatus, Event, Health, HealthStatus, MissingPermission, Notice, Reason, ScheduledPosts,
};
use proto::platforms::v1::{Post, PostComment};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A healthy account.
pub(crate) fn healthy(id: &str, platform: &str, name: &str, username: &str, now_ms: i64) -> Account {
    let connector = platform.to_owned();
    Account {
        id: format!("acc_{id}"),
        workspace_id: "demo".into(),
        platform: platform.into(),
        connector,
        display_name: name.into(),
        username: username.into(),
        status: AccountStatus::Connected.into(),
        connected_at_ms: now_ms - 102 * DAY,
        connected_by_id: "usr_dana".into(),
        connected_by_name: "Dana".into(),
        health: Some(Health {
            status: HealthStatus::Healthy.into(),
            since_ms: now_ms - 102 * DAY,
            checked_at_ms: now_ms - 3 * MINUTE,
            ..Health::default()
        }),
        can_publish: true,
        auto_refresh: matches!(platform, "facebook" | "instagram"),
        last_refreshed_at_ms: now_ms - 9 * HOUR,
        token_expires_at_ms: now_ms + 18 * DAY,
        next_refresh_at_ms: now_ms + 11 * DAY,
        version: 1,
        ..Account::default()
    }
}

/// The same, amber for a reason.
pub(crate) fn amber(mut account: Account, reason: Reason, posts: i64, now_ms: i64) -> Account {
    if let Some(health) = account.health.as_mut() {
        health.set_status(HealthStatus::NeedsReconnect);
        health.since_ms = now_ms - 2 * DAY;
        health.reasons = vec![reason.clone()];
    }
    account.can_publish = false;
    account.publish_problem = match reason.code.as_str() {
        code @ ("permission_missing" | "publish_capability_missing" | "platform_role_lost") => code.into(),
        _ => "token".into(),
    };
    account.scheduled = Some(ScheduledPosts {
        count: posts,
        next_at_ms: now_ms + DAY,
    });
    account
}

/// A reason with what usually goes with it.
pub(crate) fn reason(code: &str) -> Reason {
    let words = |list: &[&str]| list.iter().map(|&one| one.to_owned()).collect();
    let (blocks, still_works): (&[&str], &[&str]) = match code {
        "permission_missing" | "publish_capability_missing" => (&["publish", "schedule"], &["comments", "analytics"]),
        _ => (&["publish", "schedule", "comments", "analytics"], &[]),
    };
    Reason {
        code: code.into(),
        blocks: words(blocks),
        still_works: words(still_works),
        fix: match code {
            "platform_role_lost" => "fix_role",
            "platform_checkpoint" => "open_platform",
            "publish_capability_missing" => "reconnect_meta",
            _ => "reconnect",
        }
        .into(),
        permissions: match code {
            "permission_missing" => {
                vec![MissingPermission {
                    scope: "instagram_content_publish".into(),
                    label: "publish content".into(),
                }]
            }
            _ => Vec::new(),
        },
        ..Reason::default()
    }
}

fn noted(mut account: Account, code: &str, attempt: i32, at_ms: i64) -> Account {
    if let Some(health) = account.health.as_mut() {
        health.notices = vec![Notice {
            code: code.into(),
            attempt,
            at_ms,
        }];
        health.check_delayed = code == "check_delayed";
    }
    account
}

/// One account in every state, those that need attention first.
pub(crate) fn accounts(now_ms: i64) -> Vec<Account> {
    let of = |id, platform, name, username| healthy(id, platform, name, username, now_ms);
    let bad = |account: Account, code, posts| amber(account, reason(code), posts, now_ms);
    let grouped = |mut account: Account| {
        account.grant_group = "grp_1".into();
        account.connector = account.connector.replace("instagram", "instagram_facebook");
        account
    };
    let mut locked = of("13", "linkedin", "Acme Holding", "acme-holding");
    locked.plan_locked = true;
    locked.can_publish = false;
    locked.publish_problem = "plan_locked".into();
    let long = "The Extraordinarily Long Named Bakery and Confectionery of Greater Northamptonshire and Surroundings";
    let hostile = "<img src=x onerror=alert(1)> \u{202e}drawkcab";
    vec![
        grouped(bad(
            of("01", "instagram", "Acme Bakery", "acmebakery"),
            "permission_missing",
            4,
        )),
        grouped(bad(of("02", "facebook", "Acme Bakery", ""), "token_expired", 2)),
        bad(of("03", "facebook", "Acme Café", ""), "access_revoked", 0),
        bad(
            of("04", "instagram", "Acme Archive", "acme.archive"),
            "publish_capability_missing",
            0,
        ),
        bad(of("05", "facebook", "Acme Jobs", ""), "platform_role_lost", 1),
        bad(
            of("06", "instagram", "Acme Travel", "acmetravel"),
            "platform_checkpoint",
            0,
        ),
        bad(of("07", "instagram", "Acme Events", "acmeevents"), "refresh_failed", 0),
        of("08", "facebook", "Acme Foundation", "acmefoundation"),
        of("09", "tiktok", "Acme Clips", "acmeclips"),
        of("10", "x", "Acme", "acme"),
        noted(
            of("11", "linkedin", "Acme Ltd", "acme-ltd"),
            "expiring_soon",
            0,
            now_ms + 5 * DAY,
        ),
        noted(
            of("12", "instagram", "Acme Kitchen", "acmekitchen"),
            "check_delayed",
            0,
            now_ms,
        ),
        locked,
        noted(
            of("14", "facebook", "Acme Garden", ""),
            "refresh_pending",
            1,
            now_ms + DAY,
        ),
        of("15", "facebook", long, ""),
        of("16", "x", hostile, "hostile"),
        of("17", "instagram", "مخبز أكمي", "acme.ar"),
    ]
}

/// What happened to an account.
pub(crate) fn history(now_ms: i64) -> Vec<Event> {
    let event = |id: i64, kind: &str, age: i64, data: &str, who: &str| Event {
        id,
        r#type: kind.into(),
        occurred_at_ms: now_ms - age,
        data: data.into(),
        actor_name: who.into(),
        ..Event::default()
    };
    vec![
        event(4, "account.reconnect_required", 2 * DAY, "{}", ""),
        event(
            3,
            "account.refresh_attempt_failed",
            3 * DAY,
            r#"{"attempt":1,"of":3}"#,
            "",
        ),
        event(2, "account.token_refreshed", 11 * DAY, "{}", ""),
        event(1, "account.connected", 102 * DAY, "{}", "Dana"),
    ]
}

/// Recent posts.
pub(crate) fn posts(now_ms: i64) -> Vec<Post> {
    let post = |text: &str, age: i64, reactions, comments| Post {
        text: text.into(),
        permalink: "https://www.instagram.com/p/sample".into(),
        published_at_ms: now_ms - age,
        reactions: Some(reactions),
        comments: Some(comments),
        ..Post::default()
    };
    let mut first = post(
        "Sourdough is back on the shelf from seven tomorrow. First come, first served.",
        DAY,
        128,
        2,
    );
    first.comment_previews = vec![
        PostComment {
            author: "rosa".into(),
            text: "Keep one for me!".into(),
        },
        PostComment {
            author: "ben.k".into(),
            text: "Best in town".into(),
        },
    ];
    vec![first, post("We are closed on Monday.", 4 * DAY, 12, 1)]
}

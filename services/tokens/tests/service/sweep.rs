//! The sweep when much is due at once: at the platform's pace, the nearest end first, and one platform's trouble its own.

use std::time::Duration;

use crate::hub::{Hub, NOW, each};

/// Connects as many people, and makes their renewals due: the last one ends first.
async fn due(hub: &Hub, connector: &str, count: i64) {
    for n in 0..count {
        hub.connect(&format!("w{n}"), connector, &format!("{connector}{n:03}"))
            .await;
    }
    let set = "UPDATE grants SET access_expires_at_ms = $2 - 1000 * CAST(substr(workspace_id, 2) AS BIGINT),
         next_refresh_at_ms = $1, next_due_at_ms = $1 WHERE connector = $3";
    let set = sqlx::query(set)
        .bind(NOW)
        .bind(NOW + 86_400_000)
        .bind(connector.to_owned());
    set.execute(hub.db.pool()).await.unwrap();
}

/// Lets time pass in small steps until so many credentials were renewed; when, and whose.
async fn renewed(hub: &Hub, count: usize) -> Vec<(i64, String)> {
    for _ in 0..2_000 {
        let renewals = hub.fake.truth().renewals.clone();
        if renewals.len() >= count {
            return renewals;
        }
        hub.pass(Duration::from_millis(500));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("renewed were {:?}", hub.fake.truth().renewals);
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_r15_what_is_due_at_once_is_spread_over_the_platforms_pace_and_the_nearest_end_goes_first() {
    each(|hub| async move {
        hub.fake.truth().calls_per_minute = 24;
        due(&hub, "shared", 30).await;
        let renewals = renewed(&hub, 30).await;
        for (from, _) in &renewals {
            // A call is seen a while after it was let through, on a clock that runs a hundred times as fast.
            let half_minute = *from..*from + 30_000;
            let calls = renewals.iter().filter(|(at, _)| half_minute.contains(at)).count();
            assert!(calls <= 12, "{calls} calls: half of 24 a minute are for who waits");
        }
        // Several are worked on at a time, on a clock that runs fast: one may come late, all together do not. By chance they
        // would be ten places off.
        let off = renewals.iter().enumerate().map(|(place, (_, token))| {
            let number: usize = token.split('-').nth(1).unwrap()["shared".len()..].parse().unwrap();
            (29 - number).abs_diff(place)
        });
        let off: usize = off.sum();
        assert!(off <= 5 * renewals.len(), "{off} places off in all: {renewals:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v3_a_platform_that_hangs_with_many_waiting_holds_up_no_other() {
    each(|hub| async move {
        due(&hub, "rotating", 40).await;
        hub.fake.truth().hangs = Some("rotating");
        due(&hub, "shared", 20).await;
        assert_eq!(renewed(&hub, 20).await.len(), 20);
        let hanging = "SELECT COUNT(*) FROM attempts a JOIN grants g ON g.id = a.grant_id
             WHERE a.state = 'open' AND g.connector = 'rotating'";
        let open = hub.count(hanging).await;
        assert!(open <= 8, "{open} calls hang: a lane is as wide as `concurrency`");
    })
    .await;
}

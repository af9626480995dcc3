//! The sweep when much is due at once: one platform's trouble its own.

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

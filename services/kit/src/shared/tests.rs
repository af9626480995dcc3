//! The same suite over memory and, where `TEST_REDIS_URL` names one, over Redis.

use super::*;

#[allow(
    clippy::disallowed_methods,
    reason = "tests learn from the environment where Redis is"
)]
async fn stores() -> Vec<Shared> {
    let prefix = id::secret();
    let mut stores = vec![Shared::connect("", &prefix).await.unwrap()];
    if let Ok(url) = std::env::var("TEST_REDIS_URL") {
        stores.push(Shared::connect(&url, &prefix).await.unwrap());
    }
    stores
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_older_version_never_replaces_a_newer_one() {
    for shared in stores().await {
        assert!(shared.put_if_newer("health", 5, b"amber", MINUTE).await.unwrap());
        assert!(!shared.put_if_newer("health", 4, b"green", MINUTE).await.unwrap());
        assert!(!shared.put_if_newer("health", 5, b"green", MINUTE).await.unwrap());
        assert_eq!(
            shared.get_versioned("health").await.unwrap(),
            Some((5, b"amber".to_vec()))
        );
        assert!(shared.put_if_newer("health", 300, b"green", MINUTE).await.unwrap());
        assert_eq!(
            shared.get_versioned("health").await.unwrap(),
            Some((300, b"green".to_vec()))
        );
    }
}

#[tokio::test]
async fn i9_a_lock_is_given_back_by_its_holder_only() {
    for shared in stores().await {
        let lock = shared.lock("grant", MINUTE).await.unwrap().unwrap();
        assert!(shared.lock("grant", MINUTE).await.unwrap().is_none());
        // The lock ended and somebody else took it: our release must leave theirs alone.
        shared.remove("grant").await.unwrap();
        let theirs = shared.lock("grant", MINUTE).await.unwrap().unwrap();
        lock.release().await;
        assert!(shared.lock("grant", MINUTE).await.unwrap().is_none());
        theirs.release().await;
        assert!(shared.lock("grant", MINUTE).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_mark_is_set_once() {
    for shared in stores().await {
        assert!(shared.put_if_absent("check:demo", b"", MINUTE).await.unwrap());
        assert!(!shared.put_if_absent("check:demo", b"", MINUTE).await.unwrap());
    }
}

#[tokio::test]
async fn a_subscriber_is_woken() {
    for shared in stores().await {
        let mut wakeups = shared.subscribe("events").await.unwrap();
        shared.notify("events", b"demo").await.unwrap();
        assert_eq!(wakeups.recv().await, b"demo");
    }
}

#[tokio::test]
async fn a_budget_runs_out_and_fills_evenly() {
    for shared in stores().await {
        for _ in 0..2 {
            assert_eq!(shared.take("x", 2, MINUTE, 1_000_000).await.unwrap(), None);
        }
        assert_eq!(
            shared.take("x", 2, MINUTE, 1_000_000).await.unwrap(),
            Some(Duration::from_secs(30))
        );
        assert_eq!(shared.take("x", 2, MINUTE, 1_030_000).await.unwrap(), None);
    }
}

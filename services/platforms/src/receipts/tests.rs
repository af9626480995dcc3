//! Single flight, receipts and what is left of a process that died; replicas are two `Receipts` over one `Shared`.

use std::sync::atomic::{AtomicUsize, Ordering};

use proto::platforms::v1::RawAnswer;
use tokio::sync::Notify;

use super::*;

const RING: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

async fn shared() -> Shared {
    Shared::connect("", "platforms").await.unwrap()
}

fn replica(shared: &Shared) -> Receipts {
    patient(shared, Duration::from_secs(30))
}

fn patient(shared: &Shared, patience: Duration) -> Receipts {
    let (ring, clock) = (KeyRing::parse([RING]).unwrap(), Clock::manual(1_790_000_000_000));
    Receipts::new(shared.clone(), ring, clock, Tasks::new(), patience)
}

fn answered(body: &str) -> Answers {
    let answer = RawAnswer {
        status: 200,
        body: body.into(),
        ..RawAnswer::default()
    };
    Answers {
        answers: vec![answer],
        delivery: Delivery::Answered.into(),
        ..Answers::default()
    }
}

fn body(answers: &Answers) -> String {
    String::from_utf8_lossy(&answers.answers[0].body).into_owned()
}

/// Counts calls, and answers when `go` is notified.
fn work(calls: &Arc<AtomicUsize>, go: &Arc<Notify>) -> Work {
    let (calls, go) = (Arc::clone(calls), Arc::clone(go));
    Box::new(move |flight, _| {
        Box::pin(async move {
            flight.mark_sent().await;
            let number = calls.fetch_add(1, Ordering::SeqCst) + 1;
            go.notified().await;
            answered(&format!("answer {number}"))
        })
    })
}

fn quick(answers: Answers) -> Work {
    Box::new(move |_, _| Box::pin(async move { answers }))
}

/// Work whose answer shows that the platform was called again.
fn forbidden() -> Work {
    quick(answered("called again"))
}

async fn until(mut condition: impl FnMut() -> bool) {
    tokio::time::timeout(Duration::from_secs(5), async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("in time");
}

#[tokio::test]
async fn r2_many_callers_on_two_replicas_make_one_call() {
    let shared = shared().await;
    let (one, two) = (replica(&shared), replica(&shared));
    let (calls, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let callers: Vec<_> = (0..20)
        .map(|number| {
            let (receipts, work) = (
                if number % 2 == 0 { one.clone() } else { two.clone() },
                work(&calls, &go),
            );
            tokio::spawn(async move { receipts.once("att_1", work).await })
        })
        .collect();
    until(|| calls.load(Ordering::SeqCst) > 0).await;
    go.notify_one();
    for caller in callers {
        assert_eq!(body(&caller.await.unwrap()), "answer 1");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(body(&two.once("att_1", forbidden()).await), "answer 1");
}

#[tokio::test]
async fn r8_a_caller_that_goes_away_does_not_stop_the_call() {
    let receipts = replica(&shared().await);
    let (calls, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let caller = tokio::spawn({
        let (receipts, work) = (receipts.clone(), work(&calls, &go));
        async move { receipts.once("att_1", work).await }
    });
    until(|| calls.load(Ordering::SeqCst) == 1).await;
    caller.abort();
    go.notify_one();
    until(|| receipts.0.tasks.is_empty()).await;
    assert_eq!(body(&receipts.once("att_1", forbidden()).await), "answer 1");
}

#[tokio::test]
async fn a_call_whose_owner_died_after_sending_is_unknown_until_acknowledged() {
    let shared = shared().await;
    Flight {
        receipts: replica(&shared),
        id: "att_1".into(),
        needs_marker: true,
    }
    .mark_sent()
    .await;
    let receipts = replica(&shared);
    assert_eq!(receipts.once("att_1", forbidden()).await.delivery(), Delivery::Unknown);
    receipts.acknowledge("att_1").await;
    assert_eq!(body(&receipts.once("att_1", quick(answered("again"))).await), "again");
}

#[tokio::test]
async fn an_exchange_whose_owner_died_goes_on_after_its_first_answer() {
    let shared = shared().await;
    let flight = Flight {
        receipts: replica(&shared),
        id: "ses_1".into(),
        needs_marker: false,
    };
    flight.mark_sent().await;
    flight.keep_early(&answered("code")).await;
    let work: Work = Box::new(|_, early| Box::pin(async move { early.expect("the first answer") }));
    assert_eq!(body(&replica(&shared).once("ses_1", work).await), "code");
}

#[tokio::test]
async fn h5_what_was_not_sent_may_be_tried_again() {
    let receipts = replica(&shared().await);
    let unsent = Answers {
        delivery: Delivery::NotSent.into(),
        ..Answers::default()
    };
    assert_eq!(
        receipts.once("att_1", quick(unsent)).await.delivery(),
        Delivery::NotSent
    );
    assert_eq!(body(&receipts.once("att_1", quick(answered("sent"))).await), "sent");
}

#[tokio::test]
async fn s2_a_kept_answer_is_sealed_to_its_id() {
    let shared = shared().await;
    let receipts = replica(&shared);
    receipts.once("att_1", quick(answered("SBXtoken"))).await;
    let sealed = shared.get(&Kind::Receipt.key("att_1")).await.unwrap().unwrap();
    assert!(!sealed.windows(8).any(|window| window == b"SBXtoken"));
    shared
        .put(&Kind::Receipt.key("att_2"), &sealed, shelf::KEPT)
        .await
        .unwrap();
    assert_eq!(body(&receipts.once("att_2", quick(answered("own"))).await), "own");
}

#[tokio::test]
async fn r6_a_panic_in_a_call_leaves_the_marker_and_no_flight() {
    let receipts = replica(&shared().await);
    let work: Work = Box::new(|flight, _| {
        Box::pin(async move {
            flight.mark_sent().await;
            panic!("injected")
        })
    });
    assert_eq!(receipts.once("att_1", work).await.delivery(), Delivery::Unknown);
    assert!(
        locked(&receipts.0.flights).is_empty(),
        "whoever asks next would wait for the dead"
    );
    assert_eq!(receipts.once("att_1", forbidden()).await.delivery(), Delivery::Unknown);
}

#[test]
fn r2_who_asks_for_an_answer_waits_longer_than_a_call_lasts() {
    // Else "unknown" would be said of a call that still runs, and a retry be sent beside it.
    assert!(PATIENCE > flow::CALL);
}

#[tokio::test]
async fn h7_an_answer_after_the_callers_patience_is_kept_for_the_next_one_who_asks() {
    let receipts = patient(&shared().await, Duration::from_millis(20));
    let (calls, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    assert_eq!(
        receipts.once("att_1", work(&calls, &go)).await.delivery(),
        Delivery::Unknown
    );
    go.notify_one();
    until(|| receipts.0.tasks.is_empty()).await;
    assert_eq!(body(&receipts.once("att_1", forbidden()).await), "answer 1");
}

/// What FLUSHALL does to an id.
async fn flush(shared: &Shared, id: &str) {
    for key in [Kind::Receipt.key(id), Kind::Sent.key(id), flight(id)] {
        shared.remove(&key).await.unwrap();
    }
}

#[tokio::test]
async fn v1_an_answer_outlives_the_loss_of_redis_where_it_came_and_is_put_back_for_the_others() {
    let shared = shared().await;
    let (one, two) = (replica(&shared), replica(&shared));
    one.once("att_1", quick(answered("kept"))).await;
    flush(&shared, "att_1").await;
    assert_eq!(body(&one.once("att_1", forbidden()).await), "kept");
    one.hand_over().await;
    assert_eq!(body(&two.once("att_1", forbidden()).await), "kept");
    drop(one);
    assert_eq!(
        body(&two.once("att_1", forbidden()).await),
        "kept",
        "also when the first is gone"
    );
}

#[tokio::test]
async fn v1_that_a_call_was_made_is_known_without_redis() {
    let shared = shared().await;
    let receipts = replica(&shared);
    let silent: Work = Box::new(|flight, _| {
        Box::pin(async move {
            flight.mark_sent().await;
            unknown("silence")
        })
    });
    receipts.once("att_1", silent).await;
    flush(&shared, "att_1").await;
    assert_eq!(receipts.once("att_1", forbidden()).await.delivery(), Delivery::Unknown);
}

#[tokio::test]
async fn s8_what_one_replica_is_told_to_forget_no_other_remembers() {
    let shared = shared().await;
    let (one, two) = (replica(&shared), replica(&shared));
    one.once("att_1", quick(answered("kept"))).await;
    tokio::time::timeout(Duration::from_secs(5), async {
        // Until it listens, and has heard.
        while body(&one.once("att_1", quick(answered("new"))).await) == "kept" {
            assert!(two.acknowledge("att_1").await);
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("in time");
}

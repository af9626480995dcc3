//! What the store does with attempts that are settled, and with what comes of them afterwards.

use proto::common::v1::ErrorClass;
use proto::platforms::v1::{Answers, Credential};
use tokens::model::change::Proof;
use tokens::model::{Refusal, State};
use tokens::store::attempts::Attempt;
use tokens::store::outcome::{Applied, Late};

use crate::hub::NOW;
use crate::world::{World, credential, worlds};

const RECEIPTS: &str = "SELECT COUNT(*) FROM attempts WHERE sealed_receipt IS NOT NULL";

impl World {
    async fn keep(&self, attempt: &Attempt) {
        self.store
            .keep_receipt(attempt, &Answers::default(), NOW)
            .await
            .unwrap();
    }

    async fn sought(&self) -> usize {
        self.store.given_up(NOW - 1, 10).await.unwrap().len()
    }

    async fn ending(&self) -> Vec<Credential> {
        let due = self.store.lease_revocations(NOW, NOW + 1, 10).await.unwrap();
        due.into_iter().map(|due| due.credential).collect()
    }
}

fn refused() -> Refusal {
    Refusal::new(ErrorClass::Revoked, "invalid_grant", "")
}

#[tokio::test]
async fn r13_an_applied_attempt_takes_no_second_copy_of_its_answer() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let attempt = world.claimed(&grant, "att_1").await;
        world.keep(&attempt).await;
        assert_eq!(world.count(RECEIPTS).await, 1);
        world.apply(&attempt, 2).await;
        world.keep(&attempt).await;
        assert_eq!(world.count(RECEIPTS).await, 0);
    }
}

#[tokio::test]
async fn r13_a_reconnect_destroys_the_answers_of_what_it_closes_and_no_copy_comes_back() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let first = world.claimed(&grant, "att_1").await;
        world.keep(&first).await;
        world.store.abandon(&first, "no answer", NOW).await.unwrap();
        let second = world.claimed(&grant, "att_2").await;
        world.keep(&second).await;
        assert_eq!(world.count(RECEIPTS).await, 2);
        world.connect("demo", "cs_2", 1).await;
        assert_eq!(world.count(RECEIPTS).await, 0);
        world.keep(&first).await;
        world.keep(&second).await;
        assert_eq!((world.count(RECEIPTS).await, world.sought().await), (0, 0));
    }
}

#[tokio::test]
async fn r9_a_refusal_of_an_attempt_that_was_given_up_leaves_nothing_behind() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let loser = world.claimed(&grant, "att_1").await;
        world.store.abandon(&loser, "no answer", NOW).await.unwrap();
        world.keep(&loser).await;
        let newer = world.claimed(&grant, "att_2").await;
        assert_eq!(world.sought().await, 1);
        let no = refused();
        let refuse = world.store.refuse(&loser, &no, Proof::Agrees, world.rules());
        assert!(refuse.await.unwrap().is_none());
        assert_eq!((world.count(RECEIPTS).await, world.sought().await), (0, 0));
        let open = world.store.unfinished("demo", &grant.id).await.unwrap().unwrap();
        assert_eq!(
            (open.id.as_str(), world.now_in(&grant).await.0.refusals),
            (newer.id.as_str(), 0)
        );
    }
}

#[tokio::test]
async fn late_answers_are_sought_while_they_could_renew_or_must_be_ended() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let first = world.claimed(&grant, "att_1").await;
        assert_eq!(world.sought().await, 0, "it is open");
        world.store.abandon(&first, "no answer", NOW).await.unwrap();
        assert_eq!(world.sought().await, 1);
        assert!(world.store.given_up(NOW, 10).await.unwrap().is_empty(), "it is old");
        let second = world.claimed(&grant, "att_2").await;
        world.apply(&second, 2).await;
        assert_eq!(world.sought().await, 0, "the grant moved on");
        world.keep(&first).await;
        assert_eq!(world.sought().await, 1, "its answer is here");
        world.detach("demo", 0).await;
        assert!(matches!(world.apply(&first, 3).await, Applied::Revoked));
        assert_eq!(world.sought().await, 0, "it is settled");
        assert!(matches!(world.apply(&first, 3).await, Applied::Before));
    }
}

#[tokio::test]
async fn r13_a_token_of_before_a_reconnect_is_ended_where_that_ends_no_more_than_itself() {
    for shared in [false, true] {
        for world in worlds(shared).await {
            let grant = world.connect("demo", "cs_1", 1).await;
            let old = world.claimed(&grant, "att_1").await;
            world.connect("demo", "cs_2", 1).await;
            assert!(matches!(world.apply(&old, 9).await, Applied::Superseded));
            let ending = world.ending().await;
            let tokens: Vec<_> = ending.iter().map(|ended| ended.access_token.as_str()).collect();
            assert_eq!(tokens, if shared { vec![] } else { vec!["access-9"] });
        }
    }
}

#[tokio::test]
async fn r13_the_refresh_token_that_a_reconnected_grant_lives_on_is_not_ended_with_a_late_answer() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let old = world.claimed(&grant, "att_1").await;
        world.connect("demo", "cs_2", 1).await;
        // The answer brought no refresh token: the stored one, of the new lineage, was put in its place.
        let mixed = Credential {
            refresh_token: credential(1).refresh_token,
            ..credential(9)
        };
        let late = Late {
            revocation_id: "rev_9",
            quarantine_id: "qrt_9",
        };
        world.store.apply(&old, &mixed, world.rules(), late).await.unwrap();
        let ending = world.ending().await;
        assert_eq!(
            (ending[0].access_token.as_str(), ending[0].refresh_token.as_str()),
            ("access-9", "")
        );
    }
}

#[tokio::test]
async fn r11_a_siblings_token_is_tried_once_the_stored_one_was_refused() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let first = world.claimed(&grant, "att_1").await;
        world.store.abandon(&first, "no answer", NOW).await.unwrap();
        let second = world.claimed(&grant, "att_2").await;
        world.apply(&second, 2).await;
        world.apply(&first, 3).await;
        let salvaged = async || world.store.salvaged("demo", &grant.id).await.unwrap();
        assert!(salvaged().await.is_none());
        let third = world.claimed(&world.now_in(&grant).await.0, "att_3").await;
        let no = refused();
        let refuse = world.store.refuse(&third, &no, Proof::Impossible, world.rules());
        assert_eq!(refuse.await.unwrap().unwrap().state, State::Suspect);
        let (id, token) = salvaged().await.unwrap();
        assert_eq!(token.expose(), "refresh-3");
        world.store.salvage_refused("demo", &id).await.unwrap();
        assert!(salvaged().await.is_none(), "and not twice");
    }
}

#[tokio::test]
async fn r13_a_withdrawal_of_a_dead_grant_is_not_announced_and_no_late_answer_undoes_it() {
    for world in worlds(false).await {
        let grant = world.connect("demo", "cs_1", 1).await;
        let slow = world.claimed(&grant, "att_1").await;
        world.store.abandon(&slow, "no answer", NOW).await.unwrap();
        let other = world.claimed(&grant, "att_2").await;
        let no = refused();
        let refuse = world.store.refuse(&other, &no, Proof::Agrees, world.rules());
        assert_eq!(refuse.await.unwrap().unwrap().state, State::Dead);
        let announced = world.count("SELECT MAX(seq) FROM outbox").await;
        let mut of_person = world.store.grants_of_person(&["c".into()], "ada").await.unwrap();
        let dead = of_person.remove(0).grant;
        assert!(
            !world
                .store
                .withdraw(&dead, &refused(), false, world.rules())
                .await
                .unwrap()
        );
        assert!(matches!(world.apply(&slow, 5).await, Applied::Superseded));
        let (now, token) = world.now_in(&grant).await;
        assert_eq!((now.state, now.generation, token), (State::Dead, 2, None));
        assert_eq!(world.count("SELECT MAX(seq) FROM outbox").await, announced);
    }
}

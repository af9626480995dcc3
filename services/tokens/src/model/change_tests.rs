//! Tests of what becomes of a grant: single rules by example, all of them together by random lives.

use proptest::prelude::*;
use proto::common::v1::ErrorClass;
use proto::platforms::v1::Renewal;
use proto::tokens::v1::GrantChangeCause as Cause;

use super::change::{Heir, Proof, Rules, is_heir};
use super::schedule::DAY_MS;
use super::sight::View;
use super::tests::{NOW, exchange, grant, policy, rotating, rotating_grant};
use super::{Facts, Grant, Policy, Refusal, State, Traits};

struct World {
    traits: Traits,
    policy: Policy,
}

impl World {
    fn of(traits: Traits) -> Self {
        Self {
            traits,
            policy: policy(),
        }
    }

    fn at(&self, now: i64) -> Rules<'_> {
        Rules {
            traits: &self.traits,
            policy: &self.policy,
            now,
        }
    }
}

fn refusal(class: ErrorClass) -> Refusal {
    Refusal::new(class, "code", "message")
}

fn facts(now: i64) -> Facts {
    Facts {
        renewal: Renewal::Exchange,
        has_refresh_token: false,
        issued_at_ms: now,
        access_expires_at_ms: now + 60 * DAY_MS,
        refresh_expires_at_ms: 0,
        scopes: Vec::new(),
    }
}

#[test]
fn exactly_three_refusals_end_a_grant_and_two_leave_it_as_it_was() {
    let (world, mut grant) = (World::of(exchange()), grant());
    let window = grant.access_expires_at_ms - 6 * DAY_MS;
    for attempt in 1..=3 {
        let rules = world.at(window + attempt * DAY_MS);
        let change = rules.refused(&mut grant, refusal(ErrorClass::NotExtended), Proof::Missing);
        assert_eq!(change.cause, Cause::RefreshFailed);
        assert_eq!((grant.refusals, grant.state == State::Dead), (attempt, attempt == 3));
    }
    assert_eq!(grant.dead.unwrap().class(), ErrorClass::NotExtended);
    assert_eq!(grant.next_due_at_ms, None);
}

#[test]
fn a_token_that_is_not_extended_long_before_its_end_is_as_good_as_before() {
    let (world, mut grant) = (World::of(exchange()), grant());
    for _ in 0..5 {
        world
            .at(NOW + DAY_MS)
            .refused(&mut grant, refusal(ErrorClass::NotExtended), Proof::Missing);
    }
    assert_eq!((grant.refusals, grant.state), (0, State::Active));
}

#[test]
fn h13_a_permanent_refusal_while_the_access_token_works_only_makes_it_suspect() {
    let (world, mut grant) = (World::of(rotating()), rotating_grant());
    world
        .at(NOW)
        .refused(&mut grant, refusal(ErrorClass::Revoked), Proof::Denies);
    assert_eq!(grant.state, State::Suspect);
    let end = grant.access_expires_at_ms;
    // Once the access token has ended, the second such refusal is the confirmation.
    let change = world
        .at(end)
        .refused(&mut grant, refusal(ErrorClass::Revoked), Proof::Impossible);
    assert_eq!((change.cause, grant.state), (Cause::Died, State::Dead));
}

#[test]
fn r9_a_permanent_refusal_is_believed_only_when_something_agrees() {
    for (proof, dead) in [
        (Proof::Agrees, true),
        (Proof::Denies, false),
        (Proof::Missing, false),
        (Proof::Impossible, false),
    ] {
        let (world, mut grant) = (World::of(rotating()), rotating_grant());
        world.at(NOW).refused(&mut grant, refusal(ErrorClass::Revoked), proof);
        assert_eq!(grant.state == State::Dead, dead, "{proof:?}");
    }
}

#[test]
fn trouble_never_counts_and_where_renewals_are_announced_every_next_try_is() {
    let (world, mut grant) = (World::of(exchange()), grant());
    let mut told = (grant.version, grant.next_refresh_at_ms);
    for n in 0..50 {
        let change = world
            .at(NOW + n * DAY_MS / 2)
            .troubled(&mut grant, refusal(ErrorClass::Transient));
        assert!(change.is_some_and(|change| !change.announce), "{n}: no toast");
        let now = (grant.version, grant.next_refresh_at_ms);
        assert!(
            now.0 > told.0 && now.1 > told.1,
            "{n}: whoever was told before still believes it"
        );
        told = now;
    }
    assert_eq!((grant.refusals, grant.state), (0, State::Active));
    let (world, mut grant) = (World::of(rotating()), rotating_grant());
    let lazy = world.at(NOW).troubled(&mut grant, refusal(ErrorClass::Transient));
    assert_eq!((lazy, grant.version), (None, 1));
}

#[test]
fn a_late_renewal_revives_a_dead_grant_and_a_disconnected_one_stays_gone() {
    let (world, mut grant) = (World::of(rotating()), rotating_grant());
    world.at(NOW).die(&mut grant, refusal(ErrorClass::Revoked));
    assert_eq!(is_heir(&grant, grant.generation), Heir::Yes);
    world.at(NOW).renewed(&mut grant, &facts(NOW), false);
    assert_eq!((grant.state, grant.dead.clone()), (State::Active, None));
    let parent = grant.generation;
    world.at(NOW).detached(&mut grant, 0);
    assert_eq!(is_heir(&grant, parent), Heir::Revoked);
    assert_eq!(is_heir(&grant, grant.generation), Heir::Revoked);
}

#[test]
fn i24_after_a_reconnect_an_answer_of_the_old_lineage_is_no_heir() {
    let (world, mut grant) = (World::of(rotating()), rotating_grant());
    let parent = grant.generation;
    world.at(NOW).connected(&mut grant, &facts(NOW), &View::default());
    assert_eq!(is_heir(&grant, parent), Heir::Superseded);
}

#[test]
fn an_end_that_passed_is_announced_once_and_waits_for_an_attempt_that_is_open() {
    let (world, mut grant) = (World::of(exchange()), grant());
    let end = grant.access_expires_at_ms;
    assert!(world.at(end - 1).expire(&mut grant, false).is_none());
    assert!(world.at(end).expire(&mut grant, true).is_none());
    let change = world.at(end).expire(&mut grant, false).unwrap();
    assert_eq!(
        (change.cause, grant.dead.as_ref().unwrap().class()),
        (Cause::Expired, ErrorClass::Expired)
    );
    assert!(world.at(end).expire(&mut grant, false).is_none());
}

#[test]
fn a_check_that_works_heals_a_suspicion_of_the_access_token_and_not_one_of_the_refresh_token() {
    let (world, mut meta, mut single) = (World::of(exchange()), grant(), rotating_grant());
    meta.state = State::Suspect;
    single.state = State::Suspect;
    world.at(NOW).seen(&mut meta, &View::default());
    world.at(NOW).seen(&mut single, &View::default());
    assert_eq!((meta.state, single.state), (State::Active, State::Suspect));
}

#[test]
fn a_withdrawal_moves_a_dead_grant_on_too_and_is_no_news_of_it() {
    let (world, mut grant) = (World::of(rotating()), rotating_grant());
    let rules = world.at(NOW);
    rules.die(&mut grant, refusal(ErrorClass::Expired));
    let parent = grant.generation;
    assert!(rules.withdrawn(&mut grant, refusal(ErrorClass::Revoked)).is_none());
    assert_eq!(is_heir(&grant, parent), Heir::Superseded);
    rules.detached(&mut grant, 0);
    let ended = grant.generation;
    assert!(rules.withdrawn(&mut grant, refusal(ErrorClass::Revoked)).is_none());
    assert_eq!((grant.generation, grant.state), (ended, State::Revoked));
}

#[derive(Clone, Debug)]
enum Happening {
    Renewed { lifetime: i64 },
    Refused(i32, Proof),
    Troubled,
    Seen { expires: i64 },
    Unseen,
    Expire,
    Connected,
    DetachedOne,
    DetachedLast,
    Withdrawn,
}

fn happening() -> impl Strategy<Value = Happening> {
    let proof = prop_oneof![
        Just(Proof::Agrees),
        Just(Proof::Denies),
        Just(Proof::Impossible),
        Just(Proof::Missing)
    ];
    prop_oneof![
        (0_i64..100 * DAY_MS).prop_map(|lifetime| Happening::Renewed { lifetime }),
        (-1_i32..20, proof).prop_map(|(class, proof)| Happening::Refused(class, proof)),
        Just(Happening::Troubled),
        (0_i64..100 * DAY_MS).prop_map(|expires| Happening::Seen { expires }),
        Just(Happening::Unseen),
        Just(Happening::Expire),
        Just(Happening::Connected),
        Just(Happening::DetachedOne),
        Just(Happening::DetachedLast),
        Just(Happening::Withdrawn),
    ]
}

/// Lets something happen the way the store does: behind the fence.
fn live(rules: Rules<'_>, grant: &mut Grant, what: &Happening) {
    let class = |class: i32| ErrorClass::try_from(class).unwrap_or(ErrorClass::Transient);
    let facts = |lifetime| Facts {
        access_expires_at_ms: rules.now + lifetime,
        ..facts(rules.now)
    };
    match what {
        Happening::Connected => _ = rules.connected(grant, &facts(DAY_MS), &View::default()),
        _ if grant.state == State::Revoked => {}
        Happening::Renewed { lifetime } => _ = rules.renewed(grant, &facts(*lifetime), true),
        Happening::DetachedOne => _ = rules.detached(grant, 1),
        Happening::DetachedLast => _ = rules.detached(grant, 0),
        _ if grant.state == State::Dead => {}
        Happening::Refused(code, proof) => _ = rules.refused(grant, refusal(class(*code)), *proof),
        Happening::Troubled => _ = rules.troubled(grant, refusal(ErrorClass::Transient)),
        Happening::Seen { expires } => {
            _ = rules.seen(
                grant,
                &View {
                    access_expires_at_ms: rules.now + expires,
                    ..View::default()
                },
            );
        }
        Happening::Unseen => _ = rules.unseen(grant),
        Happening::Expire => _ = rules.expire(grant, false),
        Happening::Withdrawn => _ = rules.withdrawn(grant, refusal(ErrorClass::Revoked)),
    }
}

proptest! {
    #[test]
    fn r3_generations_and_versions_never_go_back_and_a_live_grant_is_always_due(
        steps in proptest::collection::vec((happening(), 0_i64..40 * DAY_MS), 1..40), single_use in any::<bool>(),
    ) {
        let (world, mut grant) =
            if single_use { (World::of(rotating()), rotating_grant()) } else { (World::of(exchange()), grant()) };
        let mut now = NOW;
        super::schedule::plan(&mut grant, &world.traits, &world.policy, NOW);
        for (what, passes) in steps {
            now += passes;
            let before = grant.clone();
            live(world.at(now), &mut grant, &what);
            prop_assert!(grant.generation >= before.generation && grant.version >= before.version);
            // Whatever others can see of a change has a version of its own.
            let visible = |grant: &Grant| (grant.generation, grant.state, grant.dead.clone(), grant.refusals, grant.granted_scopes.clone());
            prop_assert!(visible(&grant) == visible(&before) || grant.version > before.version);
            prop_assert_eq!(grant.state == State::Dead, grant.dead.is_some());
            prop_assert_eq!(grant.next_due_at_ms.is_some(), grant.state.is_live());
            prop_assert!(grant.refusals <= world.policy.refresh_attempts);
            let revived = before.state == State::Revoked && grant.state != State::Revoked;
            prop_assert!(!revived || matches!(what, Happening::Connected), "only a sign-in brings a disconnected grant back");
        }
    }
}

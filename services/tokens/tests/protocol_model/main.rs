//! The refresh protocol as a small state machine, searched exhaustively: every order of every step of everybody.
//!
//! There are two tokens processes, one grant, one platform (four ways to treat a token that comes again), the platforms
//! service with its receipts in memory and in Redis, the database, and people. What is decided is decided by the very functions of
//! `tokens::model`; the order of durable effects is that of the engine and the store, but for the three guards that
//! `protocol` names. A process may stop at any step for any time: it just does not step while others and time do. Time is
//! relative: before the deadline, after it, after the takeover threshold; a platform answers at any of them, or never.
//!
//! Bounds: at most 3 attempts, retries included, and per search the few wants, kills, flushes, broken connections, lies and
//! acts of people that it names. What would need more attempts is cut off and counted as "beyond". `deep` allows more.
//!
//! Not modelled: two tasks of one process, several grants of one person, tokens derived for single accounts or salvaged
//! from broken answers, platforms that give each caller another pair, clocks that disagree, losing the database.
#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(
    unreachable_pub,
    reason = "nothing reaches into a test: `pub` says what its files share"
)]
#![allow(clippy::print_stdout, reason = "the counts of a search are its result")]

#[cfg(feature = "deep")]
mod deep;
mod falsified;
mod fate;
mod outside;
mod properties;
mod protocol;
mod rows;
mod rules;
mod search;
mod steps;
mod world;

use fate::Fate;
use protocol::{Guards, Lock, Model};
use rules::{Core, Platform};
use search::search;

const PLATFORMS: [Platform; 4] = [
    Platform::Strict,
    Platform::Family,
    Platform::Grace,
    Platform::Repeatable,
];

fn model(platform: Platform, lock: Lock, guards: Guards) -> Model {
    Model {
        core: Core::new(platform),
        platform,
        lock,
        guards,
    }
}

/// Searches everything that can happen in `fate`. Gives in how many states at rest the platform accepts nothing we have.
fn holds(platform: Platform, lock: Lock, fate: Fate) -> usize {
    let found = search(&model(platform, lock, Guards::ALL), fate);
    let (states, transitions, depth) = (found.states, found.transitions, found.depth);
    let (rest, lost, beyond, took) = (found.rest, found.lost, found.beyond, found.took);
    println!(
        "{platform:?}, {fate}: {states} states, {transitions} transitions, depth {depth}, \
         {rest} at rest, {lost} of them cut off, {beyond} beyond, {took:.1?}"
    );
    if let Some(broken) = found.broken {
        panic!("{platform:?}: {}\n{}", broken.property, broken.trace.join("\n"));
    }
    assert!(rest > 1, "nothing ever came to rest");
    lost
}

#[test]
fn i1_two_deaths_anywhere_lose_at_most_what_nobody_had_kept() {
    let two = Fate {
        kills: 2,
        ..Fate::calm()
    };
    let lost = PLATFORMS.map(|platform| match platform {
        // Every call there mints a token: one attempt less keeps the search short.
        Platform::Repeatable => holds(platform, Lock::Absent, Fate { attempts: 2, ..two }),
        _ => holds(platform, Lock::Absent, two),
    });
    assert!(
        lost[0] > 0 && lost[1] > 0,
        "a death between commit and receipt loses a token: that is the promise"
    );
    assert_eq!(
        lost[2..],
        [0, 0],
        "where a retry gets an answer, it makes up for every death"
    );
}

#[test]
fn v1_losing_redis_together_with_a_death_is_explained_and_leaves_nothing_stuck() {
    for platform in PLATFORMS {
        let fate = Fate {
            attempts: 2,
            kills: 1,
            flushes: 1,
            ..Fate::calm()
        };
        holds(platform, Lock::Absent, fate);
    }
}

#[test]
fn h2_h8_lies_and_broken_connections_are_explained_and_leave_nothing_stuck() {
    for platform in PLATFORMS {
        let fate = Fate {
            attempts: 2,
            cuts: 1,
            lies: 1,
            ..Fate::calm()
        };
        holds(platform, Lock::Absent, fate);
    }
}

#[test]
fn r13_i22_i24_disconnect_and_reconnect_meet_a_refresh_and_a_death_at_every_interleaving() {
    for platform in PLATFORMS {
        let fate = Fate {
            attempts: 2,
            kills: 1,
            disconnects: 1,
            reconnects: 1,
            ..Fate::calm()
        };
        holds(platform, Lock::Absent, fate);
    }
}

#[test]
fn taking_one_of_several_accounts_off_does_not_lose_the_answer_that_is_on_its_way() {
    for platform in PLATFORMS {
        let fate = Fate {
            attempts: 2,
            kills: 1,
            detaches: 1,
            ..Fate::calm()
        };
        holds(platform, Lock::Absent, fate);
    }
}

#[test]
fn r9_a_grant_dies_only_of_a_real_refusal_or_of_its_own_end() {
    for platform in PLATFORMS {
        let fate = Fate {
            attempts: 2,
            wants: 2,
            ends: 1,
            troubles: 1,
            ..Fate::calm()
        };
        holds(platform, Lock::Absent, Fate { withdrawals: 1, ..fate });
        holds(platform, Lock::Absent, Fate { mistakes: 1, ..fate });
    }
}

#[test]
fn without_a_fault_two_refreshes_and_any_pauses_lose_nothing() {
    let fate = Fate {
        wants: 2,
        ..Fate::calm()
    };
    let lost = PLATFORMS.map(|platform| holds(platform, Lock::Absent, fate));
    assert_eq!(lost[0], 0, "strict");
    // A call that is retried after the takeover threshold ends the family, if the platform had only been slow.
    assert!(lost[1] > 0, "family");
    assert_eq!(lost[2..], [0, 0]);
}

#[test]
fn i6_a_lock_that_is_lost_at_any_moment_does_not_matter() {
    holds(
        Platform::Strict,
        Lock::Filter,
        Fate {
            kills: 1,
            ..Fate::calm()
        },
    );
    let lost = holds(
        Platform::Strict,
        Lock::Filter,
        Fate {
            wants: 2,
            ..Fate::calm()
        },
    );
    assert_eq!(lost, 0);
}

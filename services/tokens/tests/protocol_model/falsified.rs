//! Each property is seen to fail: without its guard the search finds the run that the guard prevents.

use crate::fate::Fate;
use crate::model;
use crate::properties::NOBODY_IS_STUCK;
use crate::protocol::{Guards, Lock};
use crate::rules::Platform;
use crate::search::search;

/// Searches a strict platform without a guard. The property must break.
fn breaks(property: &str, fate: Fate, without: fn(&mut Guards)) {
    breaks_at(Platform::Strict, Lock::Absent, property, fate, without);
}

fn breaks_at(platform: Platform, lock: Lock, property: &str, fate: Fate, without: fn(&mut Guards)) {
    let mut guards = Guards::ALL;
    without(&mut guards);
    let found = search(&model(platform, lock, guards), fate);
    let broken = found
        .broken
        .unwrap_or_else(|| panic!("held without its guard: {property}"));
    let (states, steps, trace) = (found.states, broken.trace.len(), broken.trace.join(" → "));
    println!("{}: after {states} states, {steps} steps: {trace}", broken.property);
    assert!(
        broken.property.starts_with(property),
        "expected {property}, found {}",
        broken.property
    );
}

#[test]
fn r1_without_the_unique_index_two_attempts_are_open() {
    let fate = Fate {
        wants: 2,
        ..Fate::calm()
    };
    breaks("R1", fate, |guards| guards.one_open = false);
}

#[test]
fn r1_a_lock_that_ends_before_the_answer_is_no_guard() {
    let fate = Fate {
        wants: 2,
        ..Fate::calm()
    };
    breaks_at(Platform::Strict, Lock::OnlyGuard, "R1", fate, |guards| {
        guards.one_open = false;
    });
}

#[test]
fn r2_a_retry_beside_a_call_that_still_runs_spends_the_token_twice() {
    let fate = Fate {
        kills: 1,
        ..Fate::calm()
    };
    breaks("R2", fate, |guards| guards.retry_is_late = false);
}

#[test]
fn r3_without_the_compare_and_set_a_stale_answer_overwrites_a_newer_token() {
    let fate = Fate {
        wants: 2,
        ..Fate::calm()
    };
    breaks_at(Platform::Grace, Lock::Absent, "R3", fate, |guards| {
        guards.lineage = false;
    });
}

#[test]
fn i24_without_the_compare_and_set_an_old_answer_overwrites_a_reconnect() {
    let fate = Fate {
        reconnects: 1,
        ..Fate::calm()
    };
    breaks("R3", fate, |guards| guards.lineage = false);
}

#[test]
fn r4_a_fence_on_the_owner_refuses_a_genuine_late_answer() {
    breaks("R4", Fate::calm(), |guards| guards.late_is_welcome = false);
}

#[test]
fn r4_a_detach_that_leaves_the_attempts_behind_loses_their_answers() {
    let fate = Fate {
        detaches: 1,
        ..Fate::calm()
    };
    breaks("R4", fate, |guards| guards.lineage_moves = false);
}

#[test]
fn r5_a_blind_delete_of_the_receipt_loses_a_token_with_one_death() {
    let fate = Fate {
        kills: 1,
        ..Fate::calm()
    };
    breaks("R5", fate, |guards| guards.receipt_first = false);
}

#[test]
fn r5_an_answer_that_is_kept_after_the_takeover_must_be_looked_for() {
    breaks("R5", Fate::calm(), |guards| guards.late_is_sought = false);
}

#[test]
fn v1_without_a_copy_in_memory_an_answer_is_lost_with_redis_and_the_one_who_waited_for_it() {
    let fate = Fate {
        attempts: 2,
        kills: 1,
        flushes: 1,
        ..Fate::calm()
    };
    breaks("R5", fate, |guards| guards.two_copies = false);
}

#[test]
fn r7_without_receipts_an_answer_is_lost_although_nobody_died() {
    breaks("R7", Fate::calm(), |guards| guards.receipts = false);
}

#[test]
fn r9_a_refusal_believed_after_the_generation_moved_kills_a_grant_that_works() {
    breaks("R9", Fate::calm(), |guards| guards.refusal_is_checked = false);
}

#[test]
fn r13_without_the_mark_a_late_answer_revives_what_was_disconnected() {
    let fate = Fate {
        disconnects: 1,
        ..Fate::calm()
    };
    breaks("R13: after", fate, |guards| guards.disconnect_wins = false);
}

#[test]
fn r13_a_withdrawal_that_leaves_the_generation_is_undone_by_an_answer_on_its_way() {
    let fate = Fate {
        withdrawals: 1,
        ..Fate::calm()
    };
    breaks("R13: what was withdrawn", fate, |guards| {
        guards.withdrawal_moves_on = false;
    });
}

#[test]
fn r13_a_late_answer_that_nobody_looks_for_leaves_its_token_alive_at_the_platform() {
    let fate = Fate {
        disconnects: 1,
        kills: 1,
        ..Fate::calm()
    };
    breaks("R13: a late", fate, |guards| guards.late_is_sought = false);
}

#[test]
fn r13_a_second_copy_of_an_applied_answer_would_outlive_the_disconnect() {
    let fate = Fate {
        kills: 1,
        disconnects: 1,
        ..Fate::calm()
    };
    breaks("R13: no answer", fate, |guards| guards.settled_is_empty = false);
}

#[test]
fn without_adoption_an_attempt_stays_open_for_ever() {
    let fate = Fate {
        kills: 1,
        ..Fate::calm()
    };
    breaks(NOBODY_IS_STUCK, fate, |guards| guards.orphans_are_adopted = false);
}

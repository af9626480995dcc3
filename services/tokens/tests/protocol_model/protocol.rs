//! The protocol with its guards, each of which can be taken out, and the form of a step.

use crate::rules::{Core, Platform};
use crate::world::World;

/// What a lock in front of the claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Redis is down: everybody goes to the database.
    Absent,
    /// As it is: may be lost at any moment.
    Filter,
    /// As others have it: the lock is all there is, and ends before a slow answer comes.
    OnlyGuard,
}

/// What keeps the protocol right, as the engine has it. `falsified` prints the run that each prevents.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is taken out by itself")]
pub struct Guards {
    /// The partial unique index.
    pub one_open: bool,
    /// A renewal is stored only over the generation that it came from.
    pub lineage: bool,
    /// … and whoever owns the attempt by now.
    pub late_is_welcome: bool,
    /// platforms' copy is forgotten only after ours is used.
    pub receipt_first: bool,
    /// platforms keeps every answer before anybody gets it.
    pub receipts: bool,
    /// … in its memory as well as in Redis.
    pub two_copies: bool,
    /// An attempt without an outcome is adopted, in time.
    pub orphans_are_adopted: bool,
    /// A disconnect marks the grant, and the mark is looked at.
    pub disconnect_wins: bool,
    /// An announced withdrawal raises the generation.
    pub withdrawal_moves_on: bool,
    /// A detach that leaves accounts takes the attempts along to the new generation.
    pub lineage_moves: bool,
    /// A refusal is believed only while the generation is the attempt's.
    pub refusal_is_checked: bool,
    /// A sent attempt of a former life gets its one retry only once its call is over or has aged.
    pub retry_is_late: bool,
    /// Answers of attempts that were given up are looked for as well.
    pub late_is_sought: bool,
    /// An attempt that was applied, or that a reconnect outdid, keeps no answer.
    pub settled_is_empty: bool,
}

impl Guards {
    pub const ALL: Self = Self {
        one_open: true,
        lineage: true,
        late_is_welcome: true,
        receipt_first: true,
        receipts: true,
        two_copies: true,
        orphans_are_adopted: true,
        disconnect_wins: true,
        withdrawal_moves_on: true,
        lineage_moves: true,
        refusal_is_checked: true,
        retry_is_late: true,
        late_is_sought: true,
        settled_is_empty: true,
    };
}

/// The protocol at one platform.
pub struct Model {
    pub core: Core,
    pub platform: Platform,
    pub lock: Lock,
    pub guards: Guards,
}

/// A step: what, which process or attempt, and whether fate or people did it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub what: &'static str,
    pub at: usize,
    pub fate: bool,
}

/// Where steps go.
pub struct Steps<'a> {
    pub from: &'a World,
    pub next: &'a mut Vec<(Step, World)>,
}

impl Steps<'_> {
    /// A step of the protocol.
    pub fn take(&mut self, what: &'static str, at: usize, change: impl FnOnce(&mut World)) {
        self.push(Step { what, at, fate: false }, change);
    }

    /// A step of fate.
    pub fn fate(&mut self, what: &'static str, at: usize, change: impl FnOnce(&mut World)) {
        self.push(Step { what, at, fate: true }, change);
    }

    fn push(&mut self, step: Step, change: impl FnOnce(&mut World)) {
        let mut world = self.from.clone();
        change(&mut world);
        world.normalize();
        self.next.push((step, world));
    }
}

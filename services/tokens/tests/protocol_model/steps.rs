//! What a tokens process does, one durable effect a step, as `refresh.rs`, `recovery.rs`, `settle.rs` and the store do it.

use tokens::model::State;
use tokens::model::attempt::Claim;
use tokens::model::change::{Heir, Proof};

use crate::protocol::{Lock, Model, Step, Steps};
use crate::rows::{Answer, Asking, Attempt, Call, News, Row, Task, Token, lineage};
use crate::rules::Judged;
use crate::world::World;

impl Model {
    /// Everything that can happen next.
    pub fn steps(&self, world: &World, next: &mut Vec<(Step, World)>) {
        let mut steps = Steps { from: world, next };
        for who in 0..2 {
            match world.tasks[who] {
                Task::Killed => steps.take("restart", who, |world| world.tasks[who] = Task::Idle),
                Task::Idle => self.idle(who, &mut steps),
                Task::Claimed(at) => steps.take("send", who, |world| send(world, who, usize::from(at))),
                Task::Waiting(at, asking) => self.waiting(who, usize::from(at), asking, &mut steps),
                Task::Holding(at, answer) => steps.take("keep the receipt", who, |world| {
                    self.keep(world, who, usize::from(at), answer);
                }),
                Task::Keeping(at, answer) => self.settle(who, usize::from(at), answer, &mut steps),
            }
        }
        self.outside(&mut steps);
    }

    fn idle(&self, who: usize, steps: &mut Steps<'_>) {
        let world = steps.from;
        let locked_out = self.lock != Lock::Absent && world.lock.is_some();
        let claim = self.core.claim(world, who);
        let free = claim == Claim::Free || !self.guards.one_open;
        if world.fate.wants > 0 && free && !locked_out && self.core.may_refresh(world.grant) {
            steps.take("claim", who, |world| {
                world.fate.wants -= 1;
                world.lock = (self.lock != Lock::Absent).then(|| u8::try_from(who).unwrap());
                insert(world, who);
            });
        }
        if let Some(at) = world.unfinished() {
            let ours = usize::from(world.attempts[at].owner) == who && !world.attempts[at].former_life;
            let answered = world.attempts[at].receipt.is_some() || world.attempts[at].kept.is_some();
            if claim == Claim::Adopt && self.guards.orphans_are_adopted {
                steps.take("adopt", who, |world| {
                    (world.attempts[at].owner, world.attempts[at].former_life) = (u8::try_from(who).unwrap(), false);
                    world.tasks[who] = Task::Waiting(u8::try_from(at).unwrap(), Asking::Adopted);
                    self.find(world, who, at);
                });
            } else if ours && answered {
                steps.take("ask again", who, |world| self.find(world, who, at));
            } else if ours && world.attempts[at].row == Row::Unknown && !world.attempts[at].in_flight() {
                // Whoever saw its call end does not wait for the takeover, only for the deadline.
                if world.attempts[at].age > 0 {
                    steps.take("go on with what ended", who, |world| {
                        world.tasks[who] = Task::Waiting(u8::try_from(at).unwrap(), Asking::Adopted);
                    });
                }
            }
        }
        for (at, attempt) in world.attempts.iter().enumerate() {
            let answered = attempt.receipt.is_some() || attempt.kept.is_some();
            let alone = world.tasks.iter().all(|task| task.at() != Some(at));
            if self.guards.late_is_sought && attempt.row == Row::Abandoned && answered && alone {
                steps.take("find a late answer", who, |world| self.find(world, who, at));
            }
        }
        let mut ended = world.grant;
        if world.grant.ended
            && world.grant.state.is_live()
            && self.core.expire(&mut ended, world.unfinished().is_some())
        {
            steps.take("expire", who, |world| world.grant = ended);
        }
    }

    /// Our own receipt first, then platforms' copy.
    fn find(&self, world: &mut World, who: usize, at: usize) {
        let number = u8::try_from(at).unwrap();
        let attempt = &mut world.attempts[at];
        if let Some(answer) = attempt.receipt {
            world.tasks[who] = Task::Keeping(number, answer);
        } else if let Some(answer) = attempt.kept {
            world.tasks[who] = Task::Holding(number, answer);
            if !self.guards.receipt_first {
                attempt.kept = None;
            }
        }
    }

    /// Our own receipt, before anybody reads the answer.
    fn keep(&self, world: &mut World, who: usize, at: usize, answer: Answer) {
        let settled = matches!(world.attempts[at].row, Row::Applied | Row::Reconnected);
        if !settled || !self.guards.settled_is_empty {
            world.attempts[at].receipt.get_or_insert(answer);
            answer.token().into_iter().for_each(|token| world.durable.add(token));
        }
        world.tasks[who] = Task::Keeping(u8::try_from(at).unwrap(), answer);
    }

    fn waiting(&self, who: usize, at: usize, asking: Asking, steps: &mut Steps<'_>) {
        let attempt = &steps.from.attempts[at];
        let lives = attempt.call != Call::None;
        if attempt.kept.is_some() {
            return steps.take("get the answer", who, |world| self.find(world, who, at));
        }
        if lives && attempt.age == 0 {
            return;
        }
        let forgotten = !lives && !attempt.marker && asking == Asking::Own;
        if forgotten && attempt.age == 0 {
            return steps.take("send again", who, |world| send(world, who, at));
        }
        match asking {
            Asking::Own => steps.take("mark unknown", who, |world| {
                if world.attempts[at].row == Row::Open {
                    world.attempts[at].row = Row::Unknown;
                }
                idle_again(world, who);
            }),
            Asking::Adopted => steps.take("retry", who, |world| self.retry(world, who, at)),
        }
    }

    /// No answer to what was adopted: one retry in its place.
    fn retry(&self, world: &mut World, who: usize, at: usize) {
        idle_again(world, who);
        let orphan = world.attempts[at];
        let over = orphan.call == Call::None || orphan.age == 2 || self.core.repeatable();
        if !orphan.is_unfinished() {
            return;
        }
        if !over && self.guards.retry_is_late {
            world.attempts[at].row = Row::Unknown;
            return;
        }
        world.attempts[at].row = Row::Abandoned;
        world.attempts[at].retried = over;
        if world.grant.state.is_live() && world.grant.generation == orphan.parent {
            insert(world, who);
        }
    }

    fn settle(&self, who: usize, at: usize, answer: Answer, steps: &mut Steps<'_>) {
        let world = steps.from;
        match self.core.judge(answer, world.grant.token) {
            Judged::Renewed(token) => steps.take("apply", who, |world| {
                self.apply(world, who, at, token);
                acknowledge(world, who, at);
            }),
            Judged::Trouble(refusal) => steps.take("note trouble", who, |world| {
                if self.fail(world, at) {
                    self.core.trouble(&mut world.grant, refusal);
                }
                acknowledge(world, who, at);
            }),
            Judged::Refused(refusal) => {
                for &proof in self.proofs(world, world.attempts[at].token) {
                    steps.take("refuse", who, |world| {
                        let lived = world.grant.state != State::Dead;
                        if self.fail(world, at) {
                            self.core.refuse(&mut world.grant, refusal.clone(), proof);
                        }
                        let died = lived && world.grant.state == State::Dead;
                        world.break_if(
                            died && self.accepts(world, world.grant.token),
                            "R9: dead only when the platform really refuses",
                        );
                        acknowledge(world, who, at);
                    });
                }
            }
        }
    }

    fn apply(&self, world: &mut World, who: usize, at: usize, token: Token) {
        let (attempt, before) = (world.attempts[at], world.grant);
        if attempt.row == Row::Applied {
            return;
        }
        let mine = attempt.is_unfinished() && usize::from(attempt.owner) == who;
        let heir = match self.core.heir(world.grant, attempt.parent) {
            _ if !self.guards.lineage => Heir::Yes,
            _ if !self.guards.late_is_welcome && !mine => Heir::Superseded,
            Heir::Revoked if !self.guards.disconnect_wins => Heir::Yes,
            heir => heir,
        };
        match heir {
            Heir::Yes => self.core.renew(&mut world.grant, token),
            Heir::Revoked => world.revoking.add(token),
            Heir::Superseded => {}
        }
        let applied = heir == Heir::Yes;
        world.attempts[at].row = if applied { Row::Applied } else { Row::Abandoned };
        world.attempts[at].receipt = None;
        let stored = world.grant.token;
        let newer = (lineage(stored), stored) >= (lineage(before.token), before.token);
        world.break_if(!newer && before.token != 0, "R3: a newer token is never overwritten");
        world.break_if(
            world.grant.generation < before.generation,
            "R3: the generation never goes back",
        );
        let ended = before.state == State::Revoked || world.news == News::Told;
        let heir = !ended && before.token == attempt.token;
        world.break_if(heir && stored != token, "R4: a genuine late answer is applied");
    }

    /// Closes an attempt that did not renew. True = believed.
    fn fail(&self, world: &mut World, at: usize) -> bool {
        let attempt = &mut world.attempts[at];
        let open = attempt.is_unfinished();
        if open {
            attempt.row = Row::Closed;
        }
        if open || self.guards.late_is_sought {
            attempt.receipt = None;
        }
        let unmoved = attempt.parent == world.grant.generation || !self.guards.refusal_is_checked;
        (open || !self.guards.refusal_is_checked) && unmoved && world.grant.state.is_live()
    }

    /// What asking for the access token may show.
    fn proofs(&self, world: &World, token: Token) -> &'static [Proof] {
        if world.grant.ended {
            &[Proof::Impossible]
        } else if world.chains[lineage(token)].over {
            &[Proof::Agrees, Proof::Missing]
        } else if self.accepts(world, token) {
            &[Proof::Denies, Proof::Missing]
        } else {
            &[Proof::Denies, Proof::Agrees, Proof::Missing]
        }
    }
}

/// The last check, then the call leaves. After the deadline nothing is sent, here and in the platforms service.
fn send(world: &mut World, who: usize, at: usize) {
    let attempt = &mut world.attempts[at];
    if attempt.age > 0 {
        if attempt.is_unfinished() {
            attempt.row = Row::Abandoned;
        }
        return idle_again(world, who);
    }
    (attempt.marker, attempt.call) = (true, Call::Sent);
    (attempt.in_memory, attempt.in_redis) = (true, true);
    let token = attempt.token;
    world.tasks[who] = Task::Waiting(u8::try_from(at).unwrap(), Asking::Own);
    let twin = |(other, attempt): (usize, &Attempt)| {
        other != at && attempt.in_flight() && attempt.token == token && !attempt.retried
    };
    let twice = world.attempts.iter().enumerate().any(twin);
    world.break_if(twice, "R2: one call in flight for one token");
}

fn acknowledge(world: &mut World, who: usize, at: usize) {
    world.attempts[at].forget();
    idle_again(world, who);
}

/// The task ends; its lock is released, a successor's is not.
fn idle_again(world: &mut World, who: usize) {
    world.tasks[who] = Task::Idle;
    if world.lock == u8::try_from(who).ok() {
        world.lock = None;
    }
}

fn insert(world: &mut World, who: usize) {
    if world.fate.attempts == 0 {
        world.beyond = true;
        return;
    }
    world.fate.attempts -= 1;
    let at = world.rows();
    let (parent, token, owner) = (world.grant.generation, world.grant.token, u8::try_from(who).unwrap());
    world.attempts[at] = Attempt {
        row: Row::Open,
        parent,
        owner,
        token,
        ..Attempt::NONE
    };
    world.tasks[who] = Task::Claimed(u8::try_from(at).unwrap());
}

//! What is not tokens: the platform, the platforms service with its receipts in Redis, time, people and fate.

use tokens::model::State;

use crate::protocol::{Lock, Model, Steps};
use crate::rows::{Answer, Call, News, Row, Task, Token, first, lineage};
use crate::rules::Platform;
use crate::world::World;

impl Model {
    pub(crate) fn outside(&self, steps: &mut Steps<'_>) {
        for at in 0..steps.from.attempts.len() {
            self.call(at, steps);
        }
        if steps
            .from
            .attempts
            .iter()
            .any(|attempt| attempt.row != Row::None && attempt.age < 2)
        {
            steps.take("time passes", 0, |world| {
                for attempt in world.attempts.iter_mut().filter(|attempt| attempt.row != Row::None) {
                    attempt.age = (attempt.age + 1).min(2);
                }
                world.lock = world.lock.filter(|_| self.lock != Lock::OnlyGuard);
            });
        }
        if steps.from.lock.is_some() && self.lock == Lock::Filter {
            steps.take("lose the lock", 0, |world| world.lock = None);
        }
        self.people(steps);
        self.deaths(steps);
    }

    /// Would the platform renew by this token?
    pub(crate) fn accepts(&self, world: &World, token: Token) -> bool {
        let chain = world.chains[lineage(token)];
        let good = match self.platform {
            Platform::Strict | Platform::Family => token == chain.newest,
            Platform::Grace => token + 1 >= chain.newest,
            Platform::Repeatable => true,
        };
        token != 0 && good && !chain.over
    }

    /// The platform sees a token.
    fn spend(&self, world: &mut World, token: Token) -> Answer {
        let accepted = self.accepts(world, token);
        let chain = &mut world.chains[lineage(token)];
        if accepted {
            if token == chain.newest || self.platform == Platform::Repeatable {
                chain.newest += 1;
            }
            return Answer::Renewed(chain.newest);
        }
        chain.over |= self.platform == Platform::Family;
        Answer::Refused
    }

    fn call(&self, at: usize, steps: &mut Steps<'_>) {
        let (attempt, fate) = (&steps.from.attempts[at], steps.from.fate);
        if attempt.ghost {
            steps.take("the platform sees a dead caller's call", at, |world| {
                world.attempts[at].ghost = false;
                if let Answer::Renewed(token) = self.spend(world, world.attempts[at].token) {
                    excuse(world, token);
                }
            });
            steps.take("a dead caller's call never arrives", at, |world| {
                world.attempts[at].ghost = false;
            });
        }
        match attempt.call {
            Call::None => {}
            Call::Sent => {
                steps.take("the platform answers", at, |world| {
                    world.attempts[at].call = Call::Answered(self.spend(world, world.attempts[at].token));
                });
                if fate.lies > 0 {
                    steps.fate("the platform rotates and answers 5xx", at, |world| {
                        world.fate.lies -= 1;
                        if let Answer::Renewed(token) = self.spend(world, world.attempts[at].token) {
                            excuse(world, token);
                        }
                        world.attempts[at].call = Call::Answered(Answer::Trouble);
                    });
                }
                if fate.mistakes > 0 {
                    steps.fate("the platform refuses a good token", at, |world| {
                        world.fate.mistakes -= 1;
                        world.attempts[at].call = Call::Answered(Answer::Refused);
                    });
                }
                if fate.troubles > 0 {
                    steps.fate("the platform answers 5xx", at, |world| {
                        world.fate.troubles -= 1;
                        world.attempts[at].call = Call::Answered(Answer::Trouble);
                    });
                }
            }
            Call::Answered(answer) => steps.take("platforms keeps the answer", at, |world| {
                self.kept(world, at, answer);
            }),
        }
        if attempt.call != Call::None && fate.cuts > 0 {
            steps.fate("the connection breaks", at, |world| {
                world.fate.cuts -= 1;
                cut(world, at);
            });
        }
    }

    /// Kept for whoever asks; without that, those who wait just now are all who ever get it.
    fn kept(&self, world: &mut World, at: usize, answer: Answer) {
        world.attempts[at].call = Call::None;
        if self.guards.receipts {
            let attempt = &mut world.attempts[at];
            attempt.kept = Some(answer);
            (attempt.in_memory, attempt.in_redis) = (true, true);
            answer.token().into_iter().for_each(|token| world.durable.add(token));
            return;
        }
        for task in &mut world.tasks {
            if let Task::Waiting(of, _) = *task
                && usize::from(of) == at
            {
                *task = Task::Holding(of, answer);
            }
        }
    }

    fn people(&self, steps: &mut Steps<'_>) {
        let (fate, grant) = (steps.from.fate, steps.from.grant);
        let connected = grant.state != State::Revoked;
        if fate.disconnects > 0 && connected {
            steps.fate("disconnect", 0, |world| {
                world.fate.disconnects -= 1;
                world.disconnected = true;
                world.revoking.add(grant.token);
                self.detach(world, 0);
            });
        }
        if fate.detaches > 0 && connected {
            steps.fate("take one account off", 0, |world| {
                world.fate.detaches -= 1;
                self.detach(world, 1);
            });
        }
        if fate.reconnects > 0 {
            steps.fate("reconnect", 0, |world| {
                world.fate.reconnects -= 1;
                (world.disconnected, world.news) = (false, News::None);
                world.chains[1].newest = first(1);
                self.core.connect(&mut world.grant, first(1));
                for attempt in &mut world.attempts {
                    if attempt.is_unfinished() || attempt.row == Row::Abandoned {
                        attempt.row = Row::Reconnected;
                        attempt.receipt = attempt.receipt.filter(|_| !self.guards.settled_is_empty);
                    }
                }
            });
        }
        if fate.withdrawals > 0 && connected {
            steps.fate("withdraw at the platform", 0, |world| {
                world.fate.withdrawals -= 1;
                world.news = News::OnTheWay;
                world.chains[lineage(world.grant.token)].over = true;
            });
        }
        if steps.from.news == News::OnTheWay {
            steps.take("the withdrawal is announced", 0, |world| {
                // What was disconnected has nothing left to withdraw; what is dead already must not come back either.
                self.core.withdraw(&mut world.grant);
                let over = world.grant.state == State::Revoked;
                world.news = if over { News::None } else { News::Told };
                if !self.guards.withdrawal_moves_on {
                    world.grant.generation = grant.generation;
                }
            });
        }
        if fate.ends > 0 && grant.token != 0 && !grant.ended {
            steps.fate("the access token ends", 0, |world| {
                world.fate.ends -= 1;
                world.grant.ended = true;
            });
        }
    }

    fn detach(&self, world: &mut World, left: i64) {
        let over = world.grant.generation;
        self.core.detach(&mut world.grant, left);
        for attempt in &mut world.attempts {
            if self.guards.lineage_moves && attempt.row != Row::None && attempt.parent == over {
                attempt.parent = world.grant.generation;
            }
        }
    }

    fn deaths(&self, steps: &mut Steps<'_>) {
        let (fate, attempts) = (steps.from.fate, steps.from.attempts);
        if fate.kills > 0 {
            for who in (0..2).filter(|&who| steps.from.tasks[who] != Task::Killed) {
                steps.fate("kill tokens", who, |world| kill_tokens(world, who));
            }
            if attempts
                .iter()
                .any(|attempt| attempt.call != Call::None || attempt.in_memory)
            {
                steps.fate("kill platforms", 0, |world| {
                    world.fate.kills -= 1;
                    for at in 0..world.attempts.len() {
                        cut(world, at);
                        world.attempts[at].in_memory = false;
                        forget_what_nobody_has(world, at, true);
                    }
                });
            }
        }
        if fate.flushes > 0 && attempts.iter().any(|attempt| attempt.in_redis) {
            steps.fate("flush Redis", 0, |world| {
                world.fate.flushes -= 1;
                for at in 0..world.attempts.len() {
                    let attempt = &mut world.attempts[at];
                    let lived = attempt.in_memory;
                    attempt.in_redis = false;
                    attempt.in_memory &= self.guards.two_copies;
                    forget_what_nobody_has(world, at, !lived);
                }
            });
        }
        for (at, attempt) in attempts.iter().enumerate() {
            if attempt.in_memory && !attempt.in_redis {
                steps.take("platforms puts it back into Redis", at, |world| {
                    world.attempts[at].in_redis = true;
                });
            }
        }
    }
}

fn kill_tokens(world: &mut World, who: usize) {
    world.fate.kills -= 1;
    let held = world.tasks[who].holds();
    world.tasks[who] = Task::Killed;
    for attempt in &mut world.attempts {
        attempt.former_life |= attempt.is_unfinished() && usize::from(attempt.owner) == who;
    }
    if let Some(token) = held.filter(|&token| !world.durable.has(token)) {
        excuse(world, token);
    }
}

/// The last copy that platforms had may be gone. That is excused where both were lost: the process and Redis.
fn forget_what_nobody_has(world: &mut World, at: usize, both: bool) {
    let attempt = &mut world.attempts[at];
    if attempt.in_memory || attempt.in_redis {
        return;
    }
    let kept = attempt.kept;
    attempt.forget();
    if let Some(token) = kept.and_then(Answer::token).filter(|_| both) {
        excuse(world, token);
        if !world.stores(token) {
            world.durable.remove(token);
        }
    }
}

/// Nobody listens to a call any more: what was sent may still be seen, what was answered is gone.
fn cut(world: &mut World, at: usize) {
    match std::mem::replace(&mut world.attempts[at].call, Call::None) {
        Call::None => {}
        Call::Sent => world.attempts[at].ghost = true,
        Call::Answered(answer) => {
            if let Some(token) = answer.token() {
                excuse(world, token);
            }
        }
    }
}

/// Fate destroyed a copy of a token: whoever looks for it later knows why.
fn excuse(world: &mut World, token: Token) {
    if !world.holds(token) {
        world.excused.add(token);
    }
}

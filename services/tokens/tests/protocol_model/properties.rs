//! What must be true of every world that can be reached. Numbers are those of the refresh invariants; what is a matter of one
//! step (R2, R3, R4, R9) is noted by the step itself.

use tokens::model::State;

use crate::protocol::Model;
use crate::rows::{Answer, Attempt, News, Row, Tokens, lineage};
use crate::rules::Platform;
use crate::world::World;

pub const NOBODY_IS_STUCK: &str = "liveness: without further faults every attempt gets an outcome";

impl Model {
    /// The first property that does not hold.
    pub fn broken(&self, world: &World) -> Option<&'static str> {
        let open = world.attempts.iter().filter(|attempt| attempt.is_unfinished()).count();
        let gone = world.grant.state == State::Revoked && world.grant.token == 0;
        if world.broken.is_some() {
            world.broken
        } else if open > 1 {
            Some("R1: one attempt without an outcome")
        } else if world.disconnected && !gone {
            Some("R13: after a disconnect nothing lives")
        } else if world.news == News::Told && world.grant.state.is_live() {
            Some("R13: what was withdrawn stays gone")
        } else if world.chains[1].newest != 0 && world.grant.token != 0 && lineage(world.grant.token) == 0 {
            Some("R3: a reconnect wins over everything older")
        } else if !self.is_at_rest(world) {
            None
        } else if world.disconnected {
            self.ended(world)
        } else {
            self.known(world)
        }
    }

    /// Nothing is under way after a disconnect: the platform's newest token is in the list of those to be ended.
    fn ended(&self, world: &World) -> Option<&'static str> {
        let of = usize::from(world.chains[1].newest != 0);
        let chain = world.chains[of];
        // Where tokens are exchanged, ending one ends them all.
        let listed = match self.platform {
            Platform::Repeatable => world.revoking != Tokens::default(),
            _ => world.revoking.has(chain.newest),
        };
        let listed = listed || chain.over || world.is_explained(chain.newest);
        if !listed {
            return Some("R13: a late token is ended at the platform");
        }
        let left = |attempt: &Attempt| attempt.receipt.and_then(Answer::token).is_some();
        world
            .attempts
            .iter()
            .any(left)
            .then_some("R13: no answer with a token stays behind")
    }

    /// Nothing is under way: the stored token is the platform's newest, or it is known which fault took that.
    fn known(&self, world: &World) -> Option<&'static str> {
        let chain = world.chains[lineage(world.grant.token)];
        if self.platform == Platform::Repeatable || chain.over || world.grant.token == chain.newest {
            None
        } else if world.durable.has(chain.newest) {
            Some("R5: an answer that was kept is never lost")
        } else if !world.is_explained(chain.newest) {
            Some("R7: a loss is a death between the platform's commit and the receipt")
        } else {
            None
        }
    }

    /// Nobody does anything, nothing is on its way, every attempt has an outcome, and no answer waits to be found.
    pub fn is_at_rest(&self, world: &World) -> bool {
        let waits =
            |attempt: &Attempt| attempt.row == Row::Abandoned && (attempt.receipt.is_some() || attempt.kept.is_some());
        world.is_calm() && !(self.guards.late_is_sought && world.attempts.iter().any(waits))
    }

    /// The platform has moved on and the hub cannot follow: only the person can help.
    pub fn is_lost(&self, world: &World) -> bool {
        let token = world.grant.token;
        self.is_at_rest(world) && token != 0 && !self.accepts(world, token)
    }
}

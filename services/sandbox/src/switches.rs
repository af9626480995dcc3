//! Switches: what a platform is told to do wrong, for whom, in which operation and how often. The control API adds
//! them, `Switches::take` gives the ones that match one call and counts them down, the pipeline and the imitations
//! obey. Of several switches of one kind that match a call the oldest is used.

mod effect;

use std::collections::BTreeMap;

pub(crate) use effect::{BodyFault, Cut, Effect, GracePair, Kept, RateLimit, When};
use serde::{Deserialize, Serialize};

use crate::platform::{Operation, Platform};

/// Which operations a switch is for; `api` is everything that is done with an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    Dialog,
    Consent,
    Exchange,
    Refresh,
    Inspect,
    Revoke,
    Identity,
    Discover,
    Posts,
    Publish,
    Api,
}

impl Scope {
    fn covers(self, operation: Operation) -> bool {
        match self {
            Self::Dialog => operation == Operation::Dialog,
            Self::Consent => operation == Operation::Consent,
            Self::Exchange => operation == Operation::Exchange,
            Self::Refresh => operation == Operation::Refresh,
            Self::Inspect => operation == Operation::Inspect,
            Self::Revoke => operation == Operation::Revoke,
            Self::Identity => operation == Operation::Identity,
            Self::Discover => operation == Operation::Discover,
            Self::Posts => operation == Operation::Posts,
            Self::Publish => operation == Operation::Publish,
            Self::Api => {
                use Operation::{Discover, Identity, Posts, Publish};
                matches!(operation, Identity | Discover | Posts | Publish)
            }
        }
    }
}

/// What `POST /_sandbox/switches` takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    pub(crate) platform: Platform,
    /// Absent: everybody.
    #[serde(default)]
    pub(crate) person: Option<String>,
    /// Absent: wherever the effect can show.
    #[serde(default)]
    pub(crate) operation: Option<Scope>,
    /// How many calls; absent: until it is taken away.
    #[serde(default)]
    pub(crate) next: Option<u32>,
    pub(crate) effect: Effect,
}

/// A switch that is on.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Switch {
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) order: Order,
}

impl Switch {
    fn matches(&self, platform: Platform, person: Option<&str>, operation: Operation) -> bool {
        let order = &self.order;
        order.platform == platform
            && order.person.as_deref().is_none_or(|wanted| person == Some(wanted))
            && order
                .operation
                .map_or_else(|| order.effect.concerns(operation), |scope| scope.covers(operation))
    }
}

/// All switches that are on, oldest first.
#[derive(Default)]
pub(crate) struct Switches {
    on: BTreeMap<u64, Switch>,
    last: u64,
}

impl Switches {
    pub(crate) fn add(&mut self, order: Order) -> Switch {
        self.last += 1;
        let switch = Switch { id: self.last, order };
        self.on.insert(self.last, switch.clone());
        switch
    }

    pub(crate) fn remove(&mut self, id: u64) -> bool {
        self.on.remove(&id).is_some()
    }

    pub(crate) fn clear(&mut self) {
        self.on.clear();
    }

    pub(crate) fn list(&self) -> Vec<Switch> {
        self.on.values().cloned().collect()
    }

    /// The effects for one call, each kind once, counted down.
    pub(crate) fn take(&mut self, platform: Platform, person: Option<&str>, operation: Operation) -> Effects {
        let mut effects = Effects::default();
        let mut used_up = Vec::new();
        for switch in self.on.values_mut() {
            let kind = switch.order.effect.kind();
            if !switch.matches(platform, person, operation) || effects.0.iter().any(|effect| effect.kind() == kind) {
                continue;
            }
            effects.0.push(switch.order.effect.clone());
            if let Some(next) = switch.order.next.as_mut() {
                *next = next.saturating_sub(1);
                if *next == 0 {
                    used_up.push(switch.id);
                }
            }
        }
        for id in used_up {
            self.on.remove(&id);
        }
        effects
    }
}

/// The effects that one call is under.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effects(Vec<Effect>);

impl Effects {
    /// The first effect that `choose` takes something from.
    pub(crate) fn find<'a, T>(&'a self, choose: impl Fn(&'a Effect) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(choose)
    }

    pub(crate) fn any(&self, is: impl Fn(&Effect) -> bool) -> bool {
        self.0.iter().any(is)
    }

    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        self.0.iter().map(Effect::kind).collect()
    }

    /// Life of a new access token: what a switch says, else what the platform does.
    pub(crate) fn access_seconds(&self, usual: i64) -> i64 {
        self.find(|effect| match effect {
            Effect::Lifetimes { access_seconds, .. } => *access_seconds,
            _ => None,
        })
        .unwrap_or(usual)
    }

    /// Life of a new refresh token.
    pub(crate) fn refresh_seconds(&self, usual: i64) -> i64 {
        self.find(|effect| match effect {
            Effect::Lifetimes { refresh_seconds, .. } => *refresh_seconds,
            _ => None,
        })
        .unwrap_or(usual)
    }
}

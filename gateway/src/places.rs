//! So many at once for each: live streams of a person, connections of an address. One cannot hold them all.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// What is held, by whom.
#[derive(Clone)]
pub(crate) struct Places<K> {
    most: usize,
    held: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Clone + Eq + Hash> Places<K> {
    /// At most this many for each.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            held: Arc::default(),
        }
    }

    /// One more place, until the guard is dropped; `None` when this one has enough.
    pub(crate) fn enter(&self, who: K) -> Option<Place<K>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(who.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        let held = self.held.clone();
        Some(Place { held, who })
    }
}

/// One place that is held.
pub(crate) struct Place<K: Eq + Hash> {
    held: Arc<Mutex<HashMap<K, usize>>>,
    who: K,
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[test]
    fn b22_a_person_holds_so_many_streams_and_closing_one_frees_its_place() {
        let streams = Places::new(2);
        let first = streams.enter("usr_1");
        let second = streams.enter("usr_1");
        assert!(first.is_some() && second.is_some() && streams.enter("usr_1").is_none());
        assert!(streams.enter("usr_2").is_some());
        drop(first);
        assert!(streams.enter("usr_1").is_some());
    }
}

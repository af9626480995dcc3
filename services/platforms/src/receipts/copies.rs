//! What this process has of its own calls besides Redis, sealed: until acknowledged, for a day, and within bounds. Redis may be
//! emptied or away at any time; then these are what is left, and they are put there again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

/// Bytes that copies may take. Of what Redis has as well the oldest go first; of the rest none do, and nothing more is sent.
pub(super) const ROOM: usize = 64 * 1024 * 1024;
/// About what an entry costs besides its key and value.
const ENTRY: usize = 128;

/// See the file's head.
pub(super) struct Copies {
    room: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    copies: HashMap<String, Copy>,
    bytes: usize,
    /// Of these, what Redis did not take.
    only_here: usize,
    made: u64,
}

struct Copy {
    value: Vec<u8>,
    ends_at_ms: i64,
    made: u64,
    /// Redis took it.
    shared: bool,
}

fn cost(key: &str, copy: &Copy) -> usize {
    key.len() + copy.value.len() + ENTRY
}

impl State {
    fn add(&mut self, key: String, copy: Copy) {
        let bytes = cost(&key, &copy);
        self.bytes += bytes;
        self.only_here += if copy.shared { 0 } else { bytes };
        self.copies.insert(key, copy);
    }

    fn take(&mut self, key: &str) -> Option<Copy> {
        let copy = self.copies.remove(key)?;
        let bytes = cost(key, &copy);
        self.bytes -= bytes;
        self.only_here -= if copy.shared { 0 } else { bytes };
        Some(copy)
    }

    fn shrink(&mut self, room: usize) {
        while self.bytes > room {
            let shared = self.copies.iter().filter(|(_, copy)| copy.shared);
            let Some(oldest) = shared.min_by_key(|(_, copy)| copy.made).map(|(key, _)| key.clone()) else {
                return;
            };
            self.take(&oldest);
        }
    }
}

impl Copies {
    pub(super) fn new(room: usize) -> Self {
        Self {
            room,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        super::locked(&self.state)
    }

    /// Keeps a value that Redis does not have yet.
    pub(super) fn keep(&self, key: &str, value: Vec<u8>, ends_at_ms: i64) {
        let mut state = self.state();
        state.take(key);
        state.made += 1;
        let made = state.made;
        let copy = Copy {
            value,
            ends_at_ms,
            made,
            shared: false,
        };
        state.add(key.to_owned(), copy);
        state.shrink(self.room);
    }

    /// Notes whether Redis has it.
    pub(super) fn is_shared(&self, key: &str, shared: bool) {
        let mut state = self.state();
        if let Some(copy) = state.take(key) {
            state.add(key.to_owned(), Copy { shared, ..copy });
            state.shrink(self.room);
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.state().copies.get(key).map(|copy| copy.value.clone())
    }

    /// True when there was one.
    pub(super) fn forget(&self, key: &str) -> bool {
        self.state().take(key).is_some()
    }

    /// Nothing more can be kept safely: send nothing whose answer would have to be.
    pub(super) fn is_full(&self) -> bool {
        self.state().only_here >= self.room
    }

    /// Keys whose values Redis should have; those that are too old are forgotten.
    pub(super) fn keys(&self, now_ms: i64) -> Vec<String> {
        let mut state = self.state();
        let ended = state.copies.iter().filter(|(_, copy)| copy.ends_at_ms <= now_ms);
        let ended: Vec<String> = ended.map(|(key, _)| key.clone()).collect();
        for key in ended {
            state.take(&key);
        }
        state.copies.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i14_what_redis_has_makes_room_and_what_is_only_here_stays_until_nothing_more_may_be_sent() {
        let copies = Copies::new(4 * 1024);
        for number in 0..8 {
            let key = number.to_string();
            copies.keep(&key, vec![0; 1000], 10);
            copies.is_shared(&key, true);
        }
        assert_eq!(copies.get("0"), None, "the oldest made room");
        assert!(copies.get("7").is_some() && !copies.is_full());
        for number in 10..14 {
            assert!(!copies.is_full());
            copies.keep(&number.to_string(), vec![0; 1000], 10);
        }
        assert!(copies.is_full());
        assert!((10..14).all(|number: i32| copies.get(&number.to_string()).is_some()));
        assert!(copies.forget("10") && !copies.is_full());
        assert!(copies.keys(10).is_empty(), "a day is over");
        assert_eq!(copies.state().bytes, 0);
    }
}

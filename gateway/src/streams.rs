//! Counts the live streams of each person, so that one cannot hold them all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Open streams by person.
#[derive(Clone)]
pub(crate) struct Streams {
    most: usize,
    open: Arc<Mutex<HashMap<String, usize>>>,
}

impl Streams {
    /// At most this many a person.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            open: Arc::default(),
        }
    }

    /// A place for one more stream, until the guard is dropped; `None` when the person has enough.
    pub(crate) fn enter(&self, user_id: &str) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(user_id.to_owned()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place {
            open: self.open.clone(),
            user_id: user_id.to_owned(),
        })
    }
}

/// One open stream.
pub(crate) struct Place {
    open: Arc<Mutex<HashMap<String, usize>>>,
    user_id: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.user_id) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Streams;

    #[test]
    fn b22_a_person_holds_so_many_streams_and_closing_one_frees_its_place() {
        let streams = Streams::new(2);
        let first = streams.enter("usr_1");
        let second = streams.enter("usr_1");
        assert!(first.is_some() && second.is_some() && streams.enter("usr_1").is_none());
        assert!(streams.enter("usr_2").is_some());
        drop(first);
        assert!(streams.enter("usr_1").is_some());
    }
}

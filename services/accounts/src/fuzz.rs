//! Promises about bytes that others make, one function a reader: each takes any bytes and panics when its promise is broken.
//! Called by the fuzz targets in `fuzz/`, and by tests with everything that those found. Not compiled into the service.

use kit::identity::Signer;
use kit::{Clock, Secret};

use crate::model::cursor::Cursors;

/// The cursor of a list (FAULTS C3): a place in this list of this workspace, or refused.
///
/// # Panics
///
/// When a promise is broken.
pub fn cursor(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let cursors = Cursors(Signer::new(Secret::new("fuzz"), Clock::manual(0)));
    if let Ok(Some(place)) = cursors.decode("demo", "accounts", &text) {
        assert!(
            cursors.decode("other", "accounts", &text).is_err(),
            "good for another workspace"
        );
        assert!(
            cursors.decode("demo", "events", &text).is_err(),
            "good for another list"
        );
        let again = cursors.encode("demo", "accounts", &place);
        assert_eq!(cursors.decode("demo", "accounts", &again), Ok(Some(place)));
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;

    #[test]
    fn c3_holds_for_every_cursor_in_the_corpus() {
        replay("cursor", super::cursor);
    }
}

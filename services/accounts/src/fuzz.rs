//! Promises about bytes that others make, one function a reader: each takes any bytes and panics when its promise is broken.
//! Called by the fuzz targets in `fuzz/`, and by tests with everything that those found. Not compiled into the service.

use crate::model::cursor;

/// The cursor of a list (FAULTS C3): a place in this list of this workspace, or refused.
///
/// # Panics
///
/// When a promise is broken.
pub fn cursor(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(Some(place)) = cursor::decode("demo", "accounts", &text) {
        assert!(
            cursor::decode("other", "accounts", &text).is_err(),
            "good for another workspace"
        );
        assert!(
            cursor::decode("demo", "events", &text).is_err(),
            "good for another list"
        );
        let again = cursor::encode("demo", "accounts", &place);
        assert_eq!(cursor::decode("demo", "accounts", &again), Ok(Some(place)));
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

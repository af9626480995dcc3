//! Cursors of lists: opaque to clients, bound to the workspace and to the list that they came from.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kit::{Code, Failure};

const LONGEST: usize = 4096;

/// A cursor for `list` in a workspace that continues at `position`.
pub(crate) fn encode(workspace_id: &str, list: &str, position: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{workspace_id}\n{list}\n{position}"))
}

/// What is said of a cursor that this list did not make.
pub(crate) fn refused() -> Failure {
    let why = "The cursor does not belong to this list.";
    Failure::new(Code::BadRequest, why).field("/cursor", why)
}

/// The position in a cursor of this list and workspace; `None` without a cursor. Anything else, another workspace's cursor
/// included, is the same error.
pub(crate) fn decode(workspace_id: &str, list: &str, cursor: &str) -> Result<Option<String>, Failure> {
    if cursor.is_empty() {
        return Ok(None);
    }
    if cursor.len() > LONGEST {
        return Err(refused());
    }
    let text = URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(refused)?;
    let position = text.strip_prefix(workspace_id).and_then(|rest| rest.strip_prefix('\n'));
    let position = position
        .and_then(|rest| rest.strip_prefix(list))
        .and_then(|rest| rest.strip_prefix('\n'));
    position.map(|position| Some(position.to_owned())).ok_or_else(refused)
}

/// How many rows a list returns: `asked` within 1 to `most`, `default` for 0.
pub(crate) fn limit(asked: i32, default: usize, most: usize) -> Result<usize, Failure> {
    match usize::try_from(asked) {
        Ok(0) => Ok(default),
        Ok(asked) if asked <= most => Ok(asked),
        _ => Err(Failure::invalid("/limit", format!("The limit is 1 to {most}."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c3_a_cursor_of_another_workspace_or_list_is_refused() {
        let cursor = encode("demo", "accounts", "42");
        assert_eq!(decode("demo", "accounts", &cursor).unwrap().unwrap(), "42");
        assert!(decode("demo", "accounts", "").unwrap().is_none());
        for (workspace, list, cursor) in [
            ("other", "accounts", cursor.as_str()),
            ("demo", "events", &cursor),
            ("dem", "accounts", &cursor),
            ("demo", "accounts", "%%"),
        ] {
            assert_eq!(decode(workspace, list, cursor).unwrap_err().code, Code::BadRequest);
        }
    }

    #[test]
    fn d18_page_sizes_are_bounded() {
        assert_eq!(limit(0, 25, 100).unwrap(), 25);
        assert_eq!(limit(100, 25, 100).unwrap(), 100);
        assert!(limit(101, 25, 100).is_err() && limit(-1, 25, 100).is_err());
    }
}

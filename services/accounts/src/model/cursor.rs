//! Cursors of lists: opaque to clients, and marked for the workspace and the list that they came from. A mark cannot be forged,
//! so what is in a cursor (a platform's own cursor, for one) is what we put there.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kit::identity::Signer;
use kit::{Code, Failure};

const LONGEST: usize = 4096;
const MARK: usize = 16;

/// Makes and reads cursors.
#[derive(Clone)]
pub(crate) struct Cursors(pub(crate) Signer);

impl Cursors {
    /// A cursor for `list` in a workspace that continues at `position`.
    pub(crate) fn encode(&self, workspace_id: &str, list: &str, position: &str) -> String {
        let mark = self.0.mark("cursor", &place(workspace_id, list, position));
        URL_SAFE_NO_PAD.encode([&mark[..], position.as_bytes()].concat())
    }

    /// The position in a cursor of this list and workspace; `None` without a cursor. Anything else, another workspace's cursor
    /// included, is the same error.
    pub(crate) fn decode(&self, workspace_id: &str, list: &str, cursor: &str) -> Result<Option<String>, Failure> {
        if cursor.is_empty() {
            return Ok(None);
        }
        let read = || {
            let bytes = URL_SAFE_NO_PAD
                .decode(cursor)
                .ok()
                .filter(|_| cursor.len() <= LONGEST)?;
            let (mark, position) = bytes.split_at_checked(MARK)?;
            let position = String::from_utf8(position.to_vec()).ok()?;
            let is_ours = self.0.is_mark("cursor", &place(workspace_id, list, &position), mark);
            is_ours.then_some(position)
        };
        read().map(Some).ok_or_else(refused)
    }
}

/// What is said of a cursor that this list did not make.
pub(crate) fn refused() -> Failure {
    let why = "The cursor does not belong to this list.";
    Failure::new(Code::BadRequest, why).field("/cursor", why)
}

/// Workspace ids and lists hold no line ends, so no two places read the same.
fn place(workspace_id: &str, list: &str, position: &str) -> String {
    format!("{workspace_id}\n{}\n{position}", list.replace('\n', " "))
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

    fn cursors(key: &str) -> Cursors {
        Cursors(Signer::new(kit::Secret::new(key), kit::Clock::manual(0)))
    }

    #[test]
    fn c3_a_cursor_of_another_workspace_list_or_maker_is_refused() {
        let ours = cursors("key");
        let cursor = ours.encode("demo", "accounts", "42");
        assert_eq!(ours.decode("demo", "accounts", &cursor).unwrap().unwrap(), "42");
        assert!(ours.decode("demo", "accounts", "").unwrap().is_none());
        let forged = URL_SAFE_NO_PAD.encode([&[0; MARK][..], b"43"].concat());
        let other = cursors("another key").encode("demo", "accounts", "42");
        for (workspace, list, cursor) in [
            ("other", "accounts", cursor.as_str()),
            ("demo", "events", &cursor),
            ("dem", "accounts", &cursor),
            ("demo", "accounts", &forged),
            ("demo", "accounts", &other),
            ("demo", "accounts", "%%"),
            ("demo", "accounts", "AAAA"),
        ] {
            let refused = ours.decode(workspace, list, cursor).unwrap_err();
            assert_eq!(refused.code, Code::BadRequest, "{workspace} {list} {cursor}");
        }
    }

    #[test]
    fn d18_page_sizes_are_bounded() {
        assert_eq!(limit(0, 25, 100).unwrap(), 25);
        assert_eq!(limit(100, 25, 100).unwrap(), 100);
        assert!(limit(101, 25, 100).is_err() && limit(-1, 25, 100).is_err());
    }
}

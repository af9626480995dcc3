//! Named points at which tests kill, stop or hold a process, to see that nothing is lost there.
//!
//! Compiled into debug builds, which all tests run on, and with the cargo feature `faults`; never into a release image. `tokens.faults` says what happens where:
//! `after_receipt:kill`, `after_claim:stop`, `inside_apply:hold:2000` (milliseconds), several separated by commas.

/// A step of the refresh protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Nothing has happened yet.
    BeforeClaim,
    /// The attempt is committed, nothing was sent.
    AfterClaim,
    /// The call to platforms is on its way.
    AfterSend,
    /// platforms answered and keeps a receipt of its own.
    AfterPlatformsReceipt,
    /// The answer is in our database and nobody has read it.
    AfterReceipt,
    /// The new credential is written and not committed.
    InsideApply,
    /// Committed; nothing was announced.
    AfterCommit,
}

impl Point {
    const ALL: [Self; 7] = [
        Self::BeforeClaim,
        Self::AfterClaim,
        Self::AfterSend,
        Self::AfterPlatformsReceipt,
        Self::AfterReceipt,
        Self::InsideApply,
        Self::AfterCommit,
    ];

    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeClaim => "before_claim",
            Self::AfterClaim => "after_claim",
            Self::AfterSend => "after_send",
            Self::AfterPlatformsReceipt => "after_platforms_receipt",
            Self::AfterReceipt => "after_receipt",
            Self::InsideApply => "inside_apply",
            Self::AfterCommit => "after_commit",
        }
    }
}

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// SIGKILL to ourselves.
    Kill,
    /// SIGSTOP to ourselves; whoever stopped us wakes us.
    Stop,
    /// Wait this many milliseconds.
    Hold(u64),
}

/// Reads the configuration's list.
pub fn parse(list: &str) -> Option<Vec<(Point, Act)>> {
    let one = |item: &str| {
        let mut parts = item.trim().split(':');
        let name = parts.next()?;
        let point = Point::ALL.into_iter().find(|point| point.as_str() == name)?;
        let act = match (parts.next()?, parts.next()) {
            ("kill", None) => Act::Kill,
            ("stop", None) => Act::Stop,
            ("hold", Some(ms)) => Act::Hold(ms.parse().ok()?),
            _ => return None,
        };
        Some((point, act))
    };
    list.split(',')
        .filter(|item| !item.trim().is_empty())
        .map(one)
        .collect()
}

#[cfg(not(any(feature = "faults", debug_assertions)))]
mod points {
    //! Not compiled in: every point is nothing.
    use super::{Act, Point};

    /// Takes no faults.
    pub fn arm(faults: &[(Point, Act)]) -> bool {
        faults.is_empty()
    }

    /// Nothing happens.
    #[allow(clippy::unused_async, reason = "the other form waits")]
    pub async fn hit(_: Point) {}
}

#[cfg(any(feature = "faults", debug_assertions))]
mod points {
    //! Compiled in for tests.
    use std::sync::OnceLock;
    use std::time::Duration;

    use super::{Act, Point};

    static FAULTS: OnceLock<Vec<(Point, Act)>> = OnceLock::new();

    /// Sets what happens where, once in the process' life.
    pub fn arm(faults: &[(Point, Act)]) -> bool {
        faults.is_empty() || FAULTS.set(faults.to_vec()).is_ok()
    }

    /// Does what is to happen here.
    pub async fn hit(point: Point) {
        let found = FAULTS
            .get()
            .and_then(|faults| faults.iter().find(|(at, _)| *at == point));
        let Some((_, act)) = found else { return };
        tracing::warn!(point = point.as_str(), ?act, "fault point");
        match act {
            Act::Hold(ms) => tokio::time::sleep(Duration::from_millis(*ms)).await,
            Act::Kill => signal("-KILL").await,
            Act::Stop => signal("-STOP").await,
        }
    }

    async fn signal(name: &str) {
        let me = std::process::id().to_string();
        let sent = tokio::process::Command::new("kill").args([name, &me]).status().await;
        if sent.is_err() {
            std::process::abort();
        }
    }
}

pub use points::{arm, hit};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_faults_is_read_or_refused_whole() {
        let read = parse("after_receipt:kill, inside_apply:hold:20").unwrap();
        assert_eq!(
            read,
            [(Point::AfterReceipt, Act::Kill), (Point::InsideApply, Act::Hold(20))]
        );
        assert_eq!(parse(""), Some(Vec::new()));
        assert_eq!(parse("after_lunch:kill"), None);
        assert_eq!(parse("after_receipt:hold"), None);
    }
}

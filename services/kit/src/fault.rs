//! Named points at which tests kill, stop, hold or break a process, to see that nothing is lost there.
//!
//! Compiled into debug builds, which all tests run on, and into nothing else: a release build has no code for it and refuses
//! the key. `faults` says what happens where, several separated by commas: `after_receipt:kill`, `after_send:kill:100` (a moment
//! later), `after_claim:stop`, `inside_apply:hold:2000` (milliseconds), `after_receipt:panic`. Each happens once in a process' life.

use crate::config::Error;

/// A step on the way of a refresh through the services, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// tokens: nothing has happened yet.
    BeforeClaim,
    /// tokens: the attempt is committed, nothing was sent.
    AfterClaim,
    /// tokens: the call to platforms is on its way.
    AfterAsk,
    /// platforms: the request is on its way to the platform.
    AfterSend,
    /// platforms: the platform's status and headers are here.
    AfterHeaders,
    /// platforms: the whole answer is here and nowhere else.
    AfterBody,
    /// platforms: the answer is kept and nobody was given it.
    AfterPlatformsReceipt,
    /// tokens: platforms answered and keeps a receipt of its own.
    AfterAnswer,
    /// tokens: the answer is in our database and nobody has read it.
    AfterReceipt,
    /// tokens: the new credential is written and not committed.
    InsideApply,
    /// tokens: committed; nothing was announced.
    AfterCommit,
    /// tokens: a change is leased and not delivered.
    BeforeDelivery,
    /// accounts: the change and its event are written and not committed.
    InsideChange,
    /// accounts: the change and its event are committed, and whoever brought it does not know.
    AfterChange,
    /// tokens: a change was delivered, and the outbox does not know.
    AfterDelivery,
}

impl Point {
    const ALL: [Self; 15] = [
        Self::BeforeClaim,
        Self::AfterClaim,
        Self::AfterAsk,
        Self::AfterSend,
        Self::AfterHeaders,
        Self::AfterBody,
        Self::AfterPlatformsReceipt,
        Self::AfterAnswer,
        Self::AfterReceipt,
        Self::InsideApply,
        Self::AfterCommit,
        Self::BeforeDelivery,
        Self::InsideChange,
        Self::AfterChange,
        Self::AfterDelivery,
    ];

    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeClaim => "before_claim",
            Self::AfterClaim => "after_claim",
            Self::AfterAsk => "after_ask",
            Self::AfterSend => "after_send",
            Self::AfterHeaders => "after_headers",
            Self::AfterBody => "after_body",
            Self::AfterPlatformsReceipt => "after_platforms_receipt",
            Self::AfterAnswer => "after_answer",
            Self::AfterReceipt => "after_receipt",
            Self::InsideApply => "inside_apply",
            Self::AfterCommit => "after_commit",
            Self::BeforeDelivery => "before_delivery",
            Self::InsideChange => "inside_change",
            Self::AfterChange => "after_change",
            Self::AfterDelivery => "after_delivery",
        }
    }
}

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// SIGKILL to ourselves, after this many milliseconds; what goes on beside the point goes on until then.
    Kill(u64),
    /// SIGSTOP to ourselves; whoever stopped us wakes us.
    Stop,
    /// Wait this many milliseconds.
    Hold(u64),
    /// The task ends here, the process goes on.
    Panic,
}

/// Reads the configuration's list.
fn parse(list: &str) -> Option<Vec<(Point, Act)>> {
    let one = |item: &str| {
        let mut parts = item.trim().split(':');
        let name = parts.next()?;
        let point = Point::ALL.into_iter().find(|point| point.as_str() == name)?;
        let act = match (parts.next()?, parts.next()) {
            ("kill", None) => Act::Kill(0),
            ("kill", Some(ms)) => Act::Kill(ms.parse().ok()?),
            ("stop", None) => Act::Stop,
            ("hold", Some(ms)) => Act::Hold(ms.parse().ok()?),
            ("panic", None) => Act::Panic,
            _ => return None,
        };
        Some((point, act))
    };
    list.split(',')
        .filter(|item| !item.trim().is_empty())
        .map(one)
        .collect()
}

/// Sets what happens where, once in the process' life. `list` is the key `faults`.
pub fn arm(list: &str) -> Result<(), Error> {
    let wrong = |problem: &str, remedy: &str| Error::new("faults", problem, remedy);
    match parse(list) {
        Some(faults) if points::arm(&faults) => Ok(()),
        Some(_) => Err(wrong("is set, and this is no build for tests", "leave it empty")),
        None => Err(wrong(
            "cannot be read",
            "write it as point:kill, point:kill:<ms>, point:stop, point:hold:<ms> or point:panic",
        )),
    }
}

#[cfg(not(debug_assertions))]
mod points {
    //! Not compiled in: every point is nothing.
    use super::{Act, Point};

    /// Takes no faults.
    pub(super) fn arm(faults: &[(Point, Act)]) -> bool {
        faults.is_empty()
    }

    /// Nothing happens.
    #[allow(clippy::unused_async, reason = "the other form waits")]
    pub async fn hit(_: Point) {}
}

#[cfg(debug_assertions)]
mod points {
    //! Compiled in for tests.
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::{Act, Point};

    static FAULTS: OnceLock<Vec<(Point, Act, AtomicBool)>> = OnceLock::new();

    pub(super) fn arm(faults: &[(Point, Act)]) -> bool {
        let fresh = faults.iter().map(|(point, act)| (*point, *act, AtomicBool::new(false)));
        faults.is_empty() || FAULTS.set(fresh.collect()).is_ok()
    }

    /// Does what is to happen here, the first time that anybody comes by.
    ///
    /// # Panics
    ///
    /// When that is what is to happen.
    #[allow(clippy::panic, reason = "what was asked for")]
    pub async fn hit(point: Point) {
        let all = FAULTS.get().map(Vec::as_slice).unwrap_or_default();
        let first = |(at, _, done): &&(Point, Act, AtomicBool)| *at == point && !done.swap(true, Ordering::SeqCst);
        let Some((_, act, _)) = all.iter().find(first) else {
            return;
        };
        tracing::warn!(point = point.as_str(), ?act, "fault point");
        match act {
            Act::Hold(ms) => wait(*ms).await,
            Act::Kill(ms) => {
                wait(*ms).await;
                signal("-KILL").await;
            }
            Act::Stop => signal("-STOP").await,
            Act::Panic => panic!("as the configuration says"),
        }
    }

    async fn wait(ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    async fn signal(name: &str) {
        let me = std::process::id().to_string();
        let sent = tokio::process::Command::new("kill").args([name, &me]).status().await;
        if sent.is_err() {
            std::process::abort();
        }
    }
}

pub use points::hit;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_faults_is_read_or_refused_whole() {
        let read = parse("after_receipt:kill, after_send:kill:9,inside_apply:hold:20").unwrap();
        assert_eq!(
            read,
            [
                (Point::AfterReceipt, Act::Kill(0)),
                (Point::AfterSend, Act::Kill(9)),
                (Point::InsideApply, Act::Hold(20))
            ]
        );
        assert_eq!(parse(""), Some(Vec::new()));
        assert_eq!(parse("after_lunch:kill"), None);
        assert_eq!(parse("after_receipt:hold"), None);
        assert!(
            Point::ALL
                .iter()
                .all(|point| parse(&format!("{}:stop", point.as_str())).is_some())
        );
    }

    #[test]
    fn no_release_image_has_fault_points() {
        // They hang on `debug_assertions`, which a release profile is without unless it says otherwise.
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let manifest = std::fs::read_to_string(format!("{root}/Cargo.toml")).unwrap();
        assert!(
            !manifest.contains("debug-assertions"),
            "a profile changes what a release has"
        );
        let image = std::fs::read_to_string(format!("{root}/deploy/Dockerfile")).unwrap();
        let mut builds = image.lines().filter(|line| line.contains("cargo build")).peekable();
        assert!(builds.peek().is_some());
        for build in builds {
            assert!(
                build.contains("--release") && !image.contains("CARGO_PROFILE"),
                "{build}"
            );
        }
    }
}

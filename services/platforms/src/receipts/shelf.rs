//! Where markers and answers are kept: sealed, in this process's memory and in Redis both, so that either may be lost.

use std::sync::{Arc, Weak};
use std::time::Duration;

use kit::Clock;
use kit::seal::{Aad, KeyRing};
use kit::shared::Shared;
use prost::Message as _;
use proto::platforms::v1::Answers;
use zeroize::Zeroizing;

use super::copies::{Copies, ROOM};

/// How long everything is kept.
pub(super) const KEPT: Duration = Duration::from_secs(24 * 3600);
/// How often Redis is given what it should have.
const HAND_OVER: Duration = Duration::from_secs(5);
/// Channel on which replicas tell each other what to forget.
const ACKNOWLEDGED: &str = "acknowledged";

/// A piece of what is kept of an id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// All answers of a call that is over.
    Receipt,
    /// The first answers of a flow that goes on.
    Early,
    /// It was sent.
    Sent,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Receipt, Self::Early, Self::Sent];

    fn as_str(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::Early => "early",
            Self::Sent => "sent",
        }
    }

    /// Ids are made by callers: hashed, they cannot be mistaken for another key.
    pub(super) fn key(self, id: &str) -> String {
        self.key_of(&hash(id))
    }

    fn key_of(self, hash: &str) -> String {
        format!("{}/{hash}", self.as_str())
    }

    fn aad(self, id: &str) -> Aad<'_> {
        Aad {
            workspace: "",
            record: id,
            field: self.as_str(),
            generation: 0,
        }
    }
}

/// What is kept of an id.
pub(super) struct Known {
    pub(super) receipt: Option<Answers>,
    pub(super) early: Option<Answers>,
    pub(super) is_sent: bool,
}

fn hash(id: &str) -> String {
    kit::id::sha256_hex(id.as_bytes())
}

/// See the file's head.
pub(super) struct Shelf {
    shared: Shared,
    ring: KeyRing,
    clock: Clock,
    copies: Copies,
}

impl Shelf {
    /// Hands over from time to time, and hears what other replicas were told to forget, for as long as somebody has it.
    pub(super) fn new(shared: Shared, ring: KeyRing, clock: Clock) -> Arc<Self> {
        let copies = Copies::new(ROOM);
        let shelf = Arc::new(Self {
            shared,
            ring,
            clock,
            copies,
        });
        tokio::spawn(hand_over(Arc::downgrade(&shelf)));
        tokio::spawn(hear(Arc::downgrade(&shelf)));
        shelf
    }

    /// Another answer can be kept whatever happens.
    pub(super) fn has_room(&self) -> bool {
        !self.copies.is_full()
    }

    /// Our own copy, or Redis's.
    pub(super) async fn load(&self, kind: Kind, id: &str) -> Option<Answers> {
        let key = kind.key(id);
        let sealed = match self.copies.get(&key) {
            Some(value) => value,
            None => self.shared.get(&key).await.ok().flatten()?,
        };
        self.open(kind, id, &sealed)
    }

    /// All that is kept of an id.
    pub(super) async fn known(&self, id: &str) -> Known {
        let keys = Kind::ALL.map(|kind| kind.key(id));
        let mut found = keys.each_ref().map(|key| self.copies.get(key));
        if found.iter().any(Option::is_none)
            && let Ok(shared) = self.shared.get_all(&keys).await
        {
            for (ours, theirs) in found.iter_mut().zip(shared) {
                *ours = ours.take().or(theirs);
            }
        }
        let [receipt, early, sent] = found;
        Known {
            receipt: receipt.and_then(|sealed| self.open(Kind::Receipt, id, &sealed)),
            early: early.and_then(|sealed| self.open(Kind::Early, id, &sealed)),
            is_sent: sent.is_some(),
        }
    }

    fn open(&self, kind: Kind, id: &str, sealed: &[u8]) -> Option<Answers> {
        match self.ring.open(&kind.aad(id), sealed) {
            Ok(plain) => Answers::decode(plain.as_slice()).ok(),
            Err(error) => {
                tracing::error!(%error, "a kept answer does not open");
                None
            }
        }
    }

    /// Keeps answers in memory, and in Redis unless that does not take them in time.
    pub(super) async fn store(&self, kind: Kind, id: &str, answers: &Answers) {
        let plain = Zeroizing::new(answers.encode_to_vec());
        match self.ring.seal(&kind.aad(id), &plain) {
            Ok(sealed) => {
                let key = kind.key(id);
                self.keep(&key, sealed.clone());
                self.share(&key, &sealed).await;
            }
            Err(error) => tracing::error!(%error, "an answer cannot be sealed and is not kept"),
        }
    }

    /// True when Redis has the marker as well.
    pub(super) async fn mark_sent(&self, id: &str) -> bool {
        let key = Kind::Sent.key(id);
        self.keep(&key, vec![1]);
        self.share(&key, &[1]).await
    }

    fn keep(&self, key: &str, value: Vec<u8>) {
        let end = self.clock.now_ms().saturating_add(kit::clock::millis(KEPT));
        self.copies.keep(key, value, end);
    }

    /// True when Redis took it.
    async fn share(&self, key: &str, value: &[u8]) -> bool {
        let taken = self.shared.put(key, value, KEPT).await.is_ok();
        if !taken {
            tracing::warn!("kept in memory alone: redis did not take it");
        } else if self.copies.get(key).is_some() {
            self.copies.is_shared(key, true);
        } else {
            // It was acknowledged meanwhile.
            let _ = self.shared.remove(key).await;
        }
        taken
    }

    pub(super) async fn remove(&self, kind: Kind, id: &str) {
        let key = kind.key(id);
        self.copies.forget(&key);
        let _ = self.shared.remove(&key).await;
    }

    /// Puts into Redis what it does not have, because it was away or was emptied.
    pub(super) async fn hand_over(&self) {
        for key in self.copies.keys(self.clock.now_ms()) {
            let Some(value) = self.copies.get(&key) else { continue };
            let taken = self.shared.put_if_absent(&key, &value, KEPT).await.is_ok();
            self.copies.is_shared(&key, taken);
            if !taken {
                return;
            }
        }
    }

    /// Forgets an id. False when another replica may still have a copy.
    pub(super) async fn acknowledge(&self, id: &str) -> bool {
        let keys = Kind::ALL.map(|kind| kind.key(id));
        let ours = keys.iter().filter(|key| self.copies.forget(key)).count() > 0;
        let _ = self.shared.remove_all(&keys).await;
        let told = self.shared.notify(ACKNOWLEDGED, hash(id).as_bytes()).await;
        ours || told.is_ok()
    }
}

async fn hand_over(shelf: Weak<Shelf>) {
    while let Some(shelf) = shelf.upgrade() {
        shelf.hand_over().await;
        let clock = shelf.clock.clone();
        drop(shelf);
        clock.sleep(HAND_OVER).await;
    }
}

async fn hear(shelf: Weak<Shelf>) {
    while let Some(shared) = shelf.upgrade().map(|shelf| shelf.shared.clone()) {
        let Ok(mut told) = shared.subscribe(ACKNOWLEDGED).await else {
            tokio::time::sleep(HAND_OVER).await;
            continue;
        };
        loop {
            let hash = told.recv().await;
            let Some(shelf) = shelf.upgrade() else { return };
            for kind in Kind::ALL {
                shelf.copies.forget(&kind.key_of(&String::from_utf8_lossy(&hash)));
            }
        }
    }
}

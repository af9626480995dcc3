//! Sessions of browsers, as accounts keeps them. When they end by time is accounts' own affair and tested there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kit::{Code, Failure};
use proto::accounts::v1::{
    BrowserSession, CreateBrowserSessionRequest, CreateBrowserSessionResponse, EndBrowserSessionRequest,
    EndBrowserSessionResponse, GetBrowserSessionRequest, GetBrowserSessionResponse, LeaseBrowserSessionRequest,
    LeaseBrowserSessionResponse, UpdateBrowserSessionRequest, UpdateBrowserSessionResponse,
};

use super::NOW;
use super::fake::Answers;

type Kept = HashMap<Vec<u8>, (BrowserSession, bool)>;

/// Stored sessions, and whether each is leased. Clones share.
#[derive(Clone, Default)]
pub(crate) struct Browsers(Arc<Mutex<Kept>>);

impl Browsers {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.kept().len()
    }

    /// Everything that is stored, to be searched.
    pub(crate) fn stored(&self) -> Vec<u8> {
        let sealed = self
            .kept()
            .iter()
            .map(|(id, (session, _))| [&id[..], &session.sealed_credential[..]].concat())
            .collect::<Vec<_>>();
        sealed.concat()
    }

    /// Ends all, as a sign-out elsewhere does.
    pub(crate) fn clear(&self) {
        self.kept().clear();
    }

    /// Answers accounts' RPCs.
    pub(crate) fn answer(&self, answers: &Answers) {
        let (all, none) = (self.clone(), || Failure::new(Code::NotFound, "no such session"));
        answers.on("CreateBrowserSession", move |request: CreateBrowserSessionRequest| {
            let mut kept = all.kept();
            kept.remove(&request.replaces_hash);
            let session = BrowserSession {
                version: 1,
                ends_at_ms: NOW + 86_400_000,
                ..request.session.unwrap_or_default()
            };
            kept.insert(request.id_hash, (session.clone(), false));
            Ok(CreateBrowserSessionResponse { session: Some(session) })
        });
        let all = self.clone();
        answers.on("GetBrowserSession", move |request: GetBrowserSessionRequest| {
            let session = all.kept().get(&request.id_hash).map(|(session, _)| session.clone());
            Ok(GetBrowserSessionResponse {
                session: Some(session.ok_or_else(none)?),
            })
        });
        let all = self.clone();
        answers.on("LeaseBrowserSession", move |request: LeaseBrowserSessionRequest| {
            let mut kept = all.kept();
            let found = kept
                .get_mut(&request.id_hash)
                .filter(|(session, leased)| session.version == request.version && !leased);
            let leased = found.map(|(_, leased)| *leased = true).is_some();
            Ok(LeaseBrowserSessionResponse { leased })
        });
        let all = self.clone();
        answers.on("UpdateBrowserSession", move |request: UpdateBrowserSessionRequest| {
            let (new, mut kept) = (request.session.unwrap_or_default(), all.kept());
            let found = kept
                .get_mut(&request.id_hash)
                .filter(|(session, _)| session.version == new.version);
            let updated = found
                .map(|found| {
                    *found = (
                        BrowserSession {
                            version: new.version + 1,
                            ..new
                        },
                        false,
                    );
                })
                .is_some();
            Ok(UpdateBrowserSessionResponse { updated })
        });
        let all = self.clone();
        answers.on("EndBrowserSession", move |request: EndBrowserSessionRequest| {
            let mut kept = all.kept();
            let session = kept.remove(&request.id_hash).map(|(session, _)| session);
            if let Some(session) = session.as_ref().filter(|_| request.everywhere) {
                kept.retain(|_, (other, _)| other.user_id != session.user_id);
            }
            Ok(EndBrowserSessionResponse { session })
        });
    }
}

//! Sessions of browsers: what the gateway keeps here, because it keeps nothing itself.

use kit::Failure;
use kit::clock::millis;
use proto::accounts::v1 as pb;

use crate::error::Error;
use crate::hub::Hub;
use crate::store::browsers::Ends;

/// SHA-256.
const HASH: usize = 32;
/// Largest set of sealed tokens; the largest that are known have 20 kB.
const LARGEST_CREDENTIAL: usize = 64 * 1024;
/// Workspaces that one person may be in.
const MOST_MEMBERSHIPS: usize = 1000;

impl Hub {
    pub(crate) async fn create_browser_session(
        &self,
        request: pb::CreateBrowserSessionRequest,
    ) -> Result<pb::BrowserSession, Error> {
        let id_hash = hash(&request.id_hash)?;
        let session = request.session.unwrap_or_default();
        check(&session)?;
        let now_ms = self.clock.now_ms();
        let session = pb::BrowserSession {
            ends_at_ms: now_ms + millis(self.settings.browser_life),
            version: 1,
            ..session
        };
        let replaces = hex::encode(&request.replaces_hash);
        self.store.create_browser(&id_hash, &replaces, &session, now_ms).await?;
        Ok(session)
    }

    pub(crate) async fn browser_session(
        &self,
        request: &pb::GetBrowserSessionRequest,
    ) -> Result<pb::BrowserSession, Error> {
        let ends = Ends {
            now_ms: self.clock.now_ms(),
            idle_ms: millis(self.settings.browser_idle),
        };
        self.store.browser(&hash(&request.id_hash)?, request.active, ends).await
    }

    pub(crate) async fn lease_browser_session(&self, request: &pb::LeaseBrowserSessionRequest) -> Result<bool, Error> {
        let now_ms = self.clock.now_ms();
        self.store
            .lease_browser(&hash(&request.id_hash)?, request.version, now_ms)
            .await
    }

    pub(crate) async fn update_browser_session(&self, request: pb::UpdateBrowserSessionRequest) -> Result<bool, Error> {
        let session = request.session.unwrap_or_default();
        check(&session)?;
        self.store.update_browser(&hash(&request.id_hash)?, &session).await
    }

    pub(crate) async fn end_browser_session(
        &self,
        request: &pb::EndBrowserSessionRequest,
    ) -> Result<Option<pb::BrowserSession>, Error> {
        self.store
            .end_browser(&hash(&request.id_hash)?, request.everywhere)
            .await
    }
}

fn hash(bytes: &[u8]) -> Result<String, Failure> {
    if bytes.len() == HASH {
        Ok(hex::encode(bytes))
    } else {
        Err(Failure::invalid("/id_hash", "A session is named by a SHA-256."))
    }
}

fn check(session: &pb::BrowserSession) -> Result<(), Failure> {
    if session.user_id.is_empty() || session.user_id.len() > 255 || session.user_name.len() > 1024 {
        return Err(Failure::invalid(
            "/session/user_id",
            "The person has an id of 1 to 255 bytes.",
        ));
    }
    let known = |membership: &pb::Membership| kit::Role::parse(&membership.role).is_some();
    if session.memberships.len() > MOST_MEMBERSHIPS || !session.memberships.iter().all(known) {
        return Err(Failure::invalid(
            "/session/memberships",
            "A role is owner, admin or member.",
        ));
    }
    if session.sealed_credential.len() > LARGEST_CREDENTIAL {
        return Err(Failure::invalid(
            "/session/sealed_credential",
            "That is too large for tokens.",
        ));
    }
    Ok(())
}

//! The platform's redirect came back: matched with its session, consumed once, and handed to the worker.

use kit::grpc::Context;
use kit::{Code, Failure, Person, Role, id};
use proto::accounts::v1 as pb;

use super::lease_ms;
use crate::error::Error;
use crate::hub::Hub;
use crate::model::session::Session;
use crate::store::sessions::End;

/// Longest code or state that is looked at.
const LONGEST: usize = 2048;
/// How long a native app has to bring the completion code.
const COMPLETION_MS: i64 = 60_000;

impl Hub {
    /// Completes a session. A second identical call waits for the first one's result and gives the same answer.
    pub(crate) async fn complete_connect(
        &self,
        context: &Context,
        request: pb::CompleteConnectRequest,
    ) -> Result<(pb::ConnectSession, String), Error> {
        let plain = |text: &str| text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        if request.state.is_empty() || !plain(&request.state) || !plain(&request.code) {
            return Err(Error::StateMismatch);
        }
        let state_hash = id::sha256_hex(request.state.as_bytes());
        let session = self
            .store
            .session_of_state(&state_hash)
            .await?
            .ok_or(Error::StateMismatch)?;
        // The code is sent only to the platform that the session was started with.
        if session.platform != request.platform {
            return Err(Error::StateMismatch);
        }
        if !session.is_native() {
            self.check_browser(context, &session, &request.browser_hash).await?;
        }
        if session.status == "expired" {
            return Err(Error::SessionExpired);
        }
        if session.status != "pending" {
            return self.second(context, &session).await;
        }
        if session.expires_at_ms <= self.clock.now_ms() {
            self.expire(&session).await?;
            return Err(Error::SessionExpired);
        }
        // An error wins over a code that comes along with it.
        if !request.error.is_empty() || request.code.is_empty() {
            self.refused(&session, &request.error).await?;
            return self.second(context, &session).await;
        }
        let now_ms = self.clock.now_ms();
        let Some(session) = self
            .store
            .consume(&state_hash, &self.settings.instance, now_ms, lease_ms())
            .await?
        else {
            return self.second(context, &session).await;
        };
        let (hub, mine, code) = (self.clone(), session.clone(), request.code);
        let parks = session.is_native();
        // What comes now must finish, whatever becomes of the browser's connection.
        let work = self.tasks.spawn(async move {
            if parks {
                hub.exchange_only(&mine, &code).await
            } else {
                hub.work(&mine, &code).await.map(|()| String::new())
            }
        });
        let left = context
            .deadline
            .saturating_duration_since(tokio::time::Instant::now())
            .min(super::PATIENCE);
        let completion_code = match tokio::time::timeout(left, work).await {
            Ok(Ok(done)) => done.unwrap_or_default(),
            _ => String::new(),
        };
        let session = self.store.session(&session.workspace_id, &session.id).await?;
        Ok((self.show_session(&session).await?, completion_code))
    }

    /// Only the browser that started it, with the session of the person who did, may go on. Anybody else burns it.
    async fn check_browser(&self, context: &Context, session: &Session, browser_hash: &[u8]) -> Result<(), Error> {
        let is_strange = browser_hash.is_empty() || hex::encode(browser_hash) != session.browser_hash;
        let refusal = if is_strange {
            Failure::from(Error::StateMismatch)
        } else {
            match starter(context, session) {
                Ok(person) if person.role >= Role::Admin => return Ok(()),
                Ok(_) => Failure::new(Code::ForbiddenRole, "Owners and admins connect accounts."),
                // The browser is right and nobody is signed in any more: nothing is given away by letting them sign in again.
                Err(failure) if failure.code == Code::Unauthenticated => return Err(failure.into()),
                Err(failure) => failure,
            }
        };
        if session.status == "pending" {
            tracing::warn!(
                session = session.id,
                reason = refusal.code.slug(),
                "callback by another browser or person"
            );
            self.fail(session, refusal.clone(), false).await?;
        }
        Err(if is_strange {
            let detail = "This sign-in was started in another browser; start again here.";
            Failure::new(Code::OauthOtherBrowser, detail).into()
        } else {
            refusal.into()
        })
    }

    /// What became of a session whose state was used already.
    async fn second(&self, context: &Context, session: &Session) -> Result<(pb::ConnectSession, String), Error> {
        let session = self.settled(session, context.deadline).await?;
        Ok((self.show_session(&session).await?, String::new()))
    }

    /// The platform sent the person back without a code.
    async fn refused(&self, session: &Session, error: &str) -> Result<(), Error> {
        let cancelled = [
            "access_denied",
            "user_cancelled_login",
            "user_cancelled_authorize",
            "user_denied",
        ]
        .contains(&error);
        let detail = if cancelled {
            "The sign-in was cancelled at the platform."
        } else {
            "The platform refused the sign-in."
        };
        let failure = Failure::new(Code::OauthDenied, detail);
        if !cancelled {
            return self.fail(session, failure, false).await.map(drop);
        }
        let end = End {
            status: "cancelled",
            problem: Some(failure.into()),
            results: &[],
            discard: false,
            release: true,
        };
        self.end_session(session, &["pending"], &end).await.map(drop)
    }

    /// For native apps: exchanges while the code lives, keeps the result aside, and makes the code that the app must bring.
    async fn exchange_only(&self, session: &Session, code: &str) -> Result<String, Error> {
        if self.exchanged(session, code).await?.is_none() {
            return Ok(String::new());
        }
        let completion_code = id::secret();
        let hash = id::sha256_hex(completion_code.as_bytes());
        let parked = self
            .store
            .park(session, &hash, self.clock.now_ms() + COMPLETION_MS)
            .await?;
        Ok(if parked { completion_code } else { String::new() })
    }

    /// A native app brings the completion code, with the bearer token of the person who started.
    pub(crate) async fn finish_native(
        &self,
        context: &Context,
        request: pb::FinishNativeConnectRequest,
    ) -> Result<pb::ConnectSession, Error> {
        let person = context.person_in(&request.workspace_id)?;
        let session = self.store.session(&request.workspace_id, &request.session_id).await?;
        // Whoever of the workspace caught the link of somebody else's app may know that it is not theirs to use.
        if session.user_id != person.user_id {
            tracing::warn!(session = session.id, "a completion code was brought by another person");
            return Err(not_the_starter().into());
        }
        let hash = id::sha256_hex(request.completion_code.as_bytes());
        if !session.is_native() || request.completion_code.is_empty() {
            return Err(Error::StateMismatch);
        }
        let now_ms = self.clock.now_ms();
        if !self
            .store
            .unpark(&session, &hash, &self.settings.instance, now_ms, lease_ms())
            .await?
        {
            return Err(Error::StateMismatch);
        }
        let (hub, mine) = (self.clone(), session.clone());
        // tokens knows the exchange by the session's id: no code is needed for its result.
        self.tasks.spawn(async move { hub.work(&mine, "").await });
        let session = self.settled(&session, context.deadline).await?;
        self.show_session(&session).await
    }
}

/// The person who started the session, as who they are now.
fn starter(context: &Context, session: &Session) -> Result<std::sync::Arc<Person>, Failure> {
    if context.person.is_none() && context.person_in(&session.workspace_id).is_err() {
        return Err(Failure::new(Code::Unauthenticated, "Sign in again to finish."));
    }
    let person = context
        .person_in(&session.workspace_id)
        .ok()
        .filter(|person| person.user_id == session.user_id);
    person.ok_or_else(not_the_starter)
}

fn not_the_starter() -> Failure {
    let detail = "Only the person who started a sign-in can finish it.";
    Failure::new(Code::ForbiddenRole, detail)
}

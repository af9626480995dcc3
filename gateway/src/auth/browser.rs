//! Browsers that signed in: whose a cookie is, and whether the provider still says so.
//!
//! accounts keeps the sessions, under the hash of the cookie; a look costs one read there, so a sign-out is effective on the
//! next request at every gateway. Memberships are what the provider confirmed last: before a change it is asked now, for
//! anything else every [`CONFIRMED`]. When it does not answer, changes are refused and reading goes on for [`PATIENCE`].

use std::time::Duration;

use http::Method;
use kit::clock::millis;
use kit::grpc::Context;
use kit::seal::{Aad, KeyRing};
use kit::{Code, Role, id};
use proto::accounts::v1::{
    BrowserSession, CreateBrowserSessionRequest, EndBrowserSessionRequest, GetBrowserSessionRequest,
    LeaseBrowserSessionRequest, Membership, UpdateBrowserSessionRequest,
};

use super::claims;
use super::client::{Credential, Trouble};
use super::oidc::Oidc;
use super::provider::{Claims, silent};
use crate::problem::Problem;
use crate::session::{How, Identity};
use crate::state::App;

/// How old a confirmation may be where nothing is changed. Streams look again as often: together less than a minute.
pub(crate) const CONFIRMED: Duration = Duration::from_secs(25);
/// How long reading goes on without an answer of the provider.
const PATIENCE: Duration = Duration::from_secs(600);
/// An access token that ends so soon is renewed before it is used.
const MARGIN_MS: i64 = 10_000;
/// How long another gateway's renewal is waited for.
const WAIT: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);
const COOKIE_LENGTH: usize = 43;

/// A session's name at accounts.
pub(crate) type Hash = [u8; 32];

/// What a look at a session is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// A change: the provider is asked now.
    Change,
    /// Reading.
    Read,
    /// The person does nothing: a stream that is still open.
    Idle,
}

impl Look {
    /// What a request is for. Coming back from a platform connects accounts, whatever its verb.
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let is_callback = path.starts_with("/oauth/") && path.ends_with("/callback");
        if method.is_safe() && !is_callback {
            Self::Read
        } else {
            Self::Change
        }
    }
}

/// What is stored of a cookie; `None` for what is none of ours.
pub(super) fn hash_of(cookie: &str) -> Option<Hash> {
    let is_ours = cookie.len() == COOKIE_LENGTH
        && cookie
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    is_ours.then(|| id::sha256(cookie.as_bytes()))
}

/// Whose session it is; `None` once it is over.
pub(super) async fn identify(app: &App, hash: Hash, look: Look) -> Result<Option<Identity>, Problem> {
    let Some(session) = read(app, hash, look != Look::Idle).await? else {
        return Ok(None);
    };
    let age = app.clock().now_ms() - session.confirmed_at_ms;
    if look != Look::Change && age < millis(CONFIRMED) {
        return Ok(Some(identity(hash, &session)));
    }
    let (worker, kept) = (app.clone(), session.clone());
    // A refresh token that was spent must be stored, whatever becomes of the request.
    let work = app.tasks.spawn(async move { confirm(&worker, hash, session).await });
    match work.await.unwrap_or(Err(Trouble::Silent)) {
        Ok(session) => Ok(session.map(|session| identity(hash, &session))),
        Err(Trouble::Refused) => {
            tracing::info!(user = kept.user_id, "signed out by the provider");
            end(app, hash, false).await?;
            Ok(None)
        }
        Err(Trouble::Silent) if look != Look::Change && age < millis(PATIENCE) => Ok(Some(identity(hash, &kept))),
        Err(Trouble::Silent) => Err(silent()),
    }
}

/// Keeps a new session; the one that the browser had before ends. The cookie's value.
pub(super) async fn create(
    app: &App,
    oidc: &Oidc,
    credential: &Credential,
    person: &Claims,
    before: Option<Hash>,
) -> Result<String, Problem> {
    let cookie = id::secret();
    let hash = id::sha256(cookie.as_bytes());
    let session = told(app, oidc, hash, credential, person, &BrowserSession::default())?;
    let message = CreateBrowserSessionRequest {
        id_hash: hash.to_vec(),
        replaces_hash: before.map(Vec::from).unwrap_or_default(),
        session: Some(session),
    };
    app.accounts()
        .create_browser_session(background(app).request(message))
        .await?;
    Ok(cookie)
}

/// Ends a session, or all of its person; its tokens, to be given back.
pub(super) async fn end(app: &App, hash: Hash, everywhere: bool) -> Result<Option<Credential>, Problem> {
    let message = EndBrowserSessionRequest {
        id_hash: hash.to_vec(),
        everywhere,
    };
    let request = background(app).request(message);
    let ended = app.accounts().end_browser_session(request).await?.into_inner().session;
    Ok(ended.and_then(|session| opened(app, hash, &session).ok()))
}

async fn read(app: &App, hash: Hash, active: bool) -> Result<Option<BrowserSession>, Problem> {
    let message = GetBrowserSessionRequest {
        id_hash: hash.to_vec(),
        active,
    };
    let answer = app
        .accounts()
        .get_browser_session(background(app).request(message))
        .await;
    match answer.map_err(Problem::from) {
        Ok(answer) => Ok(answer.into_inner().session),
        Err(problem) if problem.0.code == Code::NotFound => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// Asks the provider, and stores what it says. `None` when the session ended meanwhile.
async fn confirm(app: &App, hash: Hash, session: BrowserSession) -> Result<Option<BrowserSession>, Trouble> {
    let oidc = app.auth.oidc().ok_or(Trouble::Silent)?;
    let mut credential = opened(app, hash, &session).map_err(|_| Trouble::Refused)?;
    let ends = credential.access_ends_at_ms - MARGIN_MS;
    let mut person = if ends > app.clock().now_ms() {
        oidc.person(&credential, &session.user_id).await
    } else {
        Err(Trouble::Refused)
    };
    if matches!(person, Err(Trouble::Refused)) {
        match renewed(app, oidc, hash, &session, &credential).await? {
            Renewed::ByUs(new) => credential = new,
            Renewed::ByOthers(now) => return Ok(now),
        }
        person = oidc.person(&credential, &session.user_id).await;
    }
    let person = match person {
        Ok(person) => person,
        Err(trouble) => {
            // What was renewed is kept, although nothing was confirmed.
            let kept = sealed(app, hash, &credential)?;
            store(
                app,
                hash,
                BrowserSession {
                    sealed_credential: kept,
                    ..session
                },
            )
            .await?;
            return Err(trouble);
        }
    };
    let session = told(app, oidc, hash, &credential, &person, &session)?;
    if store(app, hash, session.clone()).await? {
        return Ok(Some(session));
    }
    // Another gateway was first, or the person signed out.
    Ok(read(app, hash, false).await?)
}

enum Renewed {
    ByUs(Credential),
    ByOthers(Option<BrowserSession>),
}

/// Spends the refresh token, if no other gateway does.
async fn renewed(
    app: &App,
    oidc: &Oidc,
    hash: Hash,
    session: &BrowserSession,
    credential: &Credential,
) -> Result<Renewed, Trouble> {
    if credential.refresh_token.is_empty() {
        return Err(Trouble::Refused);
    }
    let message = LeaseBrowserSessionRequest {
        id_hash: hash.to_vec(),
        version: session.version,
    };
    let answer = app
        .accounts()
        .lease_browser_session(background(app).request(message))
        .await;
    if answer.map_err(Problem::from)?.into_inner().leased {
        return oidc.renew(credential).await.map(Renewed::ByUs);
    }
    let until = tokio::time::Instant::now() + WAIT;
    while tokio::time::Instant::now() < until {
        match read(app, hash, false).await? {
            Some(now) if now.version == session.version => tokio::time::sleep(LOOK).await,
            now => return Ok(Renewed::ByOthers(now)),
        }
    }
    Err(Trouble::Silent)
}

async fn store(app: &App, hash: Hash, session: BrowserSession) -> Result<bool, Problem> {
    let message = UpdateBrowserSessionRequest {
        id_hash: hash.to_vec(),
        session: Some(session),
    };
    let request = background(app).request(message);
    Ok(app
        .accounts()
        .update_browser_session(request)
        .await?
        .into_inner()
        .updated)
}

/// The session as the provider describes it now.
fn told(
    app: &App,
    oidc: &Oidc,
    hash: Hash,
    credential: &Credential,
    person: &Claims,
    before: &BrowserSession,
) -> Result<BrowserSession, Problem> {
    let memberships = claims::memberships(person.get(&oidc.workspaces_claim)).into_iter();
    Ok(BrowserSession {
        user_id: claims::subject(person).unwrap_or_default().to_owned(),
        user_name: claims::name(person),
        memberships: memberships
            .map(|(workspace_id, role)| Membership {
                workspace_id,
                role: role.as_str().to_owned(),
            })
            .collect(),
        sealed_credential: sealed(app, hash, credential)?,
        confirmed_at_ms: app.clock().now_ms(),
        ..before.clone()
    })
}

fn identity(hash: Hash, session: &BrowserSession) -> Identity {
    let memberships = session
        .memberships
        .iter()
        .filter_map(|membership| Some((membership.workspace_id.clone(), Role::parse(&membership.role)?)));
    Identity {
        user_id: session.user_id.clone(),
        name: session.user_name.clone(),
        memberships: memberships.collect(),
        how: How::Cookie,
        expires_at_ms: Some(session.ends_at_ms),
        browser: Some(hash),
    }
}

fn background(app: &App) -> Context {
    Context::background().within(app.config.request_timeout)
}

fn ring(app: &App) -> Result<KeyRing, Problem> {
    Ok(app.common.signer.ring("browser sessions")?)
}

fn place(record: &str) -> Aad<'_> {
    Aad {
        workspace: "",
        record,
        field: "credential",
        generation: 0,
    }
}

fn sealed(app: &App, hash: Hash, credential: &Credential) -> Result<Vec<u8>, Problem> {
    let sealed = ring(app)?.seal(&place(&hex::encode(hash)), &credential.encode());
    sealed.map_err(|_| Problem::new(Code::Internal, "the sign-in could not be kept"))
}

fn opened(app: &App, hash: Hash, session: &BrowserSession) -> Result<Credential, Problem> {
    let plain = ring(app)?.open(&place(&hex::encode(hash)), &session.sealed_credential);
    let unreadable = || Problem::new(Code::Internal, "the kept sign-in cannot be read");
    Credential::decode(&plain.map_err(|_| unreadable())?).ok_or_else(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_cookie_of_ours_is_not_even_asked_about() {
        assert!(hash_of(&id::secret()).is_some());
        for bad in ["", "dev.usr_1.acme.owner", &"x".repeat(44), &"é".repeat(43)] {
            assert!(hash_of(bad).is_none(), "{bad}");
        }
    }
}

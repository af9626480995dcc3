//! Answers that were made a moment ago, for readers to whom they are still true.
//!
//! Every read first asks, in one small call that it shares with others ([`Together`]), for the versions of what it is made of.
//! Only an answer that was made of exactly these versions is served again, so what a read shows is never older than the
//! read. What was kept is only ever found under everything that it depends on ([`Key`]): another workspace, role, language or
//! person has other answers. Words that grow old by themselves ("3 min ago") bound the age; the page's script keeps them right.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::FromRequestParts;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kit::grpc::{Client, Context};
use kit::{Clock, Code, Person};
use proto::accounts::v1::accounts_service_client::AccountsServiceClient;
use proto::accounts::v1::{self as accounts, ReaderVersion};
use proto::entitlements::v1::entitlements_service_client::EntitlementsServiceClient;
use proto::entitlements::v1::{self as entitlements, WorkspaceVersion};
use tonic::Status;

use crate::api::etag;
use crate::page;
use crate::problem::Problem;
use crate::state::App;
use crate::together::Together;
use crate::view::Locale;

/// How old an answer may become while nothing changes.
const KEPT_FOR: Duration = Duration::from_secs(30);
const MOST_BYTES: u64 = 32 * 1024 * 1024;
/// Larger answers are not kept.
const LARGEST: usize = 1024 * 1024;
/// A service that does not say in this time whether an answer is still true is asked for the answer itself.
const PATIENCE: Duration = Duration::from_secs(1);
/// Of brotli: most of what there is to gain, in a millisecond.
const QUALITY: u32 = 5;

/// Everything that an answer depends on, besides versions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Whose eyes it was made for; without id and name where it is the same for all of their role.
    pub(crate) person: Person,
    pub(crate) locale: Locale,
    /// Empty where no date is told in words.
    pub(crate) timezone: String,
    pub(crate) toured: bool,
    /// Platforms to come that they wait for.
    pub(crate) waits_for: Vec<String>,
    /// Where the person may switch to; empty where that is not shown.
    pub(crate) workspaces: Vec<String>,
    /// They can sign out.
    pub(crate) signed_in: bool,
    /// Path and query.
    pub(crate) path: String,
}

/// What an answer was made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Versions {
    accounts: ReaderVersion,
    /// Not asked for where plans do not show.
    entitlements: Option<WorkspaceVersion>,
}

/// Kept answers, and the questions whether they are still true.
pub(crate) struct Answers {
    kept: moka::sync::Cache<Key, Arc<Kept>>,
    readers: Together<(String, String), ReaderVersion>,
    workspaces: Together<String, WorkspaceVersion>,
    clock: Clock,
}

struct Kept {
    versions: Versions,
    made_at_ms: i64,
    /// What the handler set, with the tag.
    headers: HeaderMap,
    plain: Bytes,
    compressed: OnceLock<Bytes>,
}

impl Answers {
    pub(crate) fn new(
        accounts: AccountsServiceClient<Client>,
        entitlements: EntitlementsServiceClient<Client>,
        clock: Clock,
    ) -> Self {
        let weigh = |key: &Key, kept: &Arc<Kept>| {
            u32::try_from(2 * kept.plain.len() + key.path.len() + 1024).unwrap_or(u32::MAX)
        };
        Self {
            kept: moka::sync::Cache::builder()
                .weigher(weigh)
                .max_capacity(MOST_BYTES)
                .time_to_live(KEPT_FOR)
                .build(),
            readers: Together::new(move |readers| ask_accounts(accounts.clone(), readers)),
            workspaces: Together::new(move |ids| ask_entitlements(entitlements.clone(), ids)),
            clock,
        }
    }

    /// Versions of a workspace's accounts.
    pub(crate) async fn of_workspace(&self, workspace_id: &str) -> Result<Versions, Status> {
        let accounts = self.readers.ask((workspace_id.to_owned(), String::new())).await?;
        Ok(Versions {
            accounts,
            entitlements: None,
        })
    }

    /// Versions of everything that a person's page shows of their workspace.
    pub(crate) async fn of_reader(&self, person: &Person) -> Result<Versions, Status> {
        let reader = (person.workspace_id.clone(), person.user_id.clone());
        let (accounts, entitlements) = tokio::try_join!(
            self.readers.ask(reader),
            self.workspaces.ask(person.workspace_id.clone())
        )?;
        Ok(Versions {
            accounts,
            entitlements: Some(entitlements),
        })
    }

    /// The kept answer when it is still true, else the one that `make` makes. `versions` is what it is made of now; when that
    /// cannot be told, nothing is kept.
    pub(crate) async fn serve(
        &self,
        key: Key,
        encoding: Encoding,
        versions: Result<Versions, Status>,
        make: impl Future<Output = Result<Response, Problem>>,
    ) -> Result<Response, Problem> {
        let Ok(versions) = versions else { return make.await };
        let now_ms = self.clock.now_ms();
        if let Some(kept) = self.kept.get(&key)
            && kept.versions == versions
            && (0..kit::clock::millis(KEPT_FOR)).contains(&(now_ms - kept.made_at_ms))
        {
            return Ok(kept.response(encoding));
        }
        // What it is made of is read after its versions were: it may be newer than they say, never older.
        let response = make.await?;
        if response.status() != StatusCode::OK {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        let plain = to_bytes(body, LARGEST)
            .await
            .map_err(|_| Problem::new(Code::Internal, "the answer is too large"))?;
        let mut headers = head.headers;
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Ok(tag) = HeaderValue::try_from(etag::of_bytes(&plain)) {
            headers.insert(header::ETAG, tag);
        }
        let kept = Arc::new(Kept {
            versions,
            made_at_ms: now_ms,
            headers,
            plain,
            compressed: OnceLock::new(),
        });
        self.kept.insert(key, kept.clone());
        Ok(kept.response(encoding))
    }
}

impl Kept {
    fn response(&self, encoding: Encoding) -> Response {
        let mut headers = self.headers.clone();
        let bytes = match encoding {
            Encoding::Plain => self.plain.clone(),
            Encoding::Brotli => {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
                let packed = || page::brotli(&self.plain, QUALITY).into();
                self.compressed.get_or_init(packed).clone()
            }
        };
        let mut response = Response::new(Body::from(bytes));
        *response.headers_mut() = headers;
        response
    }
}

/// How a reader takes an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    Brotli,
}

impl Encoding {
    /// Brotli for whoever lists it without a weight of nothing.
    fn of(accepted: &str) -> Self {
        let takes = |one: &str| {
            let (name, weight) = one.split_once(';').unwrap_or((one, ""));
            name.trim().eq_ignore_ascii_case("br") && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
        };
        if accepted.split(',').any(takes) {
            Self::Brotli
        } else {
            Self::Plain
        }
    }
}

impl FromRequestParts<App> for Encoding {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Self::Rejection> {
        let accepted = parts.headers.get(header::ACCEPT_ENCODING);
        Ok(Self::of(
            accepted.and_then(|value| value.to_str().ok()).unwrap_or_default(),
        ))
    }
}

async fn ask_accounts(
    mut client: AccountsServiceClient<Client>,
    readers: Vec<(String, String)>,
) -> Result<Vec<ReaderVersion>, Status> {
    let readers = readers
        .into_iter()
        .map(|(workspace_id, user_id)| accounts::Reader { workspace_id, user_id })
        .collect();
    let request = Context::background()
        .within(PATIENCE)
        .request(accounts::GetVersionsRequest { readers });
    Ok(client.get_versions(request).await?.into_inner().versions)
}

async fn ask_entitlements(
    mut client: EntitlementsServiceClient<Client>,
    workspace_ids: Vec<String>,
) -> Result<Vec<WorkspaceVersion>, Status> {
    let request = Context::background()
        .within(PATIENCE)
        .request(entitlements::GetWorkspaceVersionsRequest { workspace_ids });
    Ok(client.get_workspace_versions(request).await?.into_inner().versions)
}

#[cfg(test)]
mod tests {
    use super::Encoding;

    #[test]
    fn brotli_goes_to_those_who_take_it() {
        for takes in ["br", "gzip, deflate, br", "gzip;q=0.5, BR ; q=0.8"] {
            assert_eq!(Encoding::of(takes), Encoding::Brotli, "{takes}");
        }
        for takes in ["", "gzip", "br;q=0", "gzip, br; q=0.0", "brotli"] {
            assert_eq!(Encoding::of(takes), Encoding::Plain, "{takes}");
        }
    }
}

//! Writes problems out: `application/problem+json` for programs, a page for people.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, header};
use kit::{Code, Role};

use super::RequestId;
use crate::page;
use crate::problem::{MEDIA_TYPE, Problem, ProblemBody};
use crate::session::{Identity, full_uri, workspace_of};
use crate::state::App;

/// Who reads, remembered in the answer on its way out: what helps an owner does not help a member.
#[derive(Clone)]
struct Reader(Identity);

/// Gives the answer of an inner layer its body.
pub(super) async fn problems(State(app): State<App>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let kept = parts.clone();
    let response = next.run(Request::from_parts(parts, body)).await;
    write(&app, &kept, response).await
}

/// Remembers who reads, for [`problems`] further out, which saw the request before anybody was recognised.
pub(crate) fn read_by(identity: Identity, response: &mut Response) {
    response.extensions_mut().insert(Reader(identity));
}

fn role(identity: &Identity, path: &str) -> Option<Role> {
    let first = identity.memberships.first().map(|(workspace, _)| workspace.as_str());
    let workspace = workspace_of(path).or(first)?;
    identity.person_in(workspace).map(|person| person.role)
}

/// The one place that turns a [`Problem`] into a body.
pub(crate) async fn write(app: &App, request: &Parts, mut response: Response) -> Response {
    let Some(Problem(failure)) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    if failure.code == Code::Internal {
        tracing::error!(detail = failure.detail, "answered with our own fault");
    }
    let path = full_uri(request).path();
    let remembered = response.extensions().get::<Reader>().map(|Reader(identity)| identity);
    let reader = remembered.or(request.extensions.get::<Identity>());
    let mut body = ProblemBody::of(&failure, &app.links, reader.and_then(|reader| role(reader, path)));
    path.clone_into(&mut body.instance);
    body.request_id = request
        .extensions
        .get::<RequestId>()
        .map(|id| id.0.clone())
        .unwrap_or_default();
    let accepts = request
        .headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if super::is_for_programs(path) || accepts.contains("json") {
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(bytes);
        return response;
    }
    let mut page = page::error_page(&body, request);
    *page.status_mut() = response.status();
    for (name, value) in response.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            page.headers_mut().append(name.clone(), value.clone());
        }
    }
    page
}

//! The OpenAPI document: what `utoipa` reads off the handlers, and what is true of all of them.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi, PathItem, Ref, RefOr, Required, Response,
    ResponseBuilder, Type,
};

use crate::cookies;
use crate::problem::{MEDIA_TYPE, ProblemBody};

const ABOUT: &str = "Connect social accounts, watch their health, keep them usable. Errors are RFC 9457 problems whose `code` \
    names the kind. Lists come in pages: pass `next_cursor` as `cursor`. GETs carry an ETag. Every POST needs an \
    `Idempotency-Key`: the same key gives the same answer, once. Clients tolerate values of enumerations that they do not know.";

/// The document of the whole API, as it is served and committed.
pub fn document() -> OpenApi {
    finished(super::described())
}

/// Adds to the handlers' document what holds for all of them.
pub(super) fn finished(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Socializioz Connections")
        .version("1")
        .description(Some(ABOUT))
        .license(Some(
            LicenseBuilder::new()
                .name("Apache-2.0")
                .identifier(Some("Apache-2.0"))
                .build(),
        ))
        .build();
    document.servers = Some(vec![utoipa::openapi::Server::new("/api/v1")]);
    let components = document.components.get_or_insert_default();
    let (name, schema) = problem_schema();
    components.schemas.insert(name, schema);
    let bearer = SecurityScheme::Http(
        HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build(),
    );
    components.add_security_scheme("bearer", bearer);
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(cookies::SESSION)));
    components.add_security_scheme("session", cookie);
    let empty = Vec::<String>::new;
    document.security = Some(vec![
        SecurityRequirement::new("bearer", empty()),
        SecurityRequirement::new("session", empty()),
    ]);
    for item in document.paths.paths.values_mut() {
        complete(item);
    }
    document
}

fn problem_schema() -> (String, RefOr<utoipa::openapi::Schema>) {
    use utoipa::{PartialSchema, ToSchema};
    (ProblemBody::name().into_owned(), ProblemBody::schema())
}

fn complete(item: &mut PathItem) {
    for (operation, statuses) in [
        (
            &mut item.get,
            &[304_u16, 400, 401, 403, 404, 409, 410, 422, 429, 500, 503, 504][..],
        ),
        (
            &mut item.post,
            &[400, 401, 403, 404, 408, 409, 410, 413, 415, 422, 429, 500, 503, 504],
        ),
        (
            &mut item.put,
            &[400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503, 504],
        ),
        (
            &mut item.delete,
            &[400, 401, 403, 404, 409, 410, 412, 422, 429, 500, 503, 504],
        ),
    ] {
        if let Some(operation) = operation {
            name_answers(operation);
            name_operation(operation);
            for status in statuses {
                operation
                    .responses
                    .responses
                    .entry(status.to_string())
                    .or_insert_with(|| RefOr::T(problem(*status)));
            }
        }
    }
    if let Some(post) = &mut item.post {
        add(post, idempotency_key());
    }
    if let Some(get) = &mut item.get {
        add(
            get,
            header("If-None-Match", "Answered with 304 when it still has this ETag"),
        );
        if let Some(RefOr::T(answer)) = get.responses.responses.get_mut("200")
            && !answer.content.contains_key("text/event-stream")
        {
            answer.headers.insert(
                "ETag".into(),
                RefOr::T(HeaderBuilder::new().schema(Some(string())).build()),
            );
        }
    }
}

/// Handlers of different nouns may share a name; clients' generators may not.
fn name_operation(operation: &mut Operation) {
    if let (Some(tag), Some(id)) = (
        operation.tags.as_ref().and_then(|tags| tags.first()),
        &operation.operation_id,
    ) {
        operation.operation_id = Some(format!("{tag}_{id}"));
    }
}

/// Every answer says what it is; the status' own words where the handler says no more.
fn name_answers(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            status
                .parse()
                .map_or("Answer", title)
                .clone_into(&mut response.description);
        }
    }
}

fn title(status: u16) -> &'static str {
    let status = http::StatusCode::from_u16(status).ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or("Problem")
}

fn add(operation: &mut Operation, parameter: Parameter) {
    operation.parameters.get_or_insert_default().push(RefOr::T(parameter));
}

fn problem(status: u16) -> Response {
    let response = ResponseBuilder::new().description(title(status));
    if status == 304 {
        return response.build();
    }
    let schema = RefOr::<utoipa::openapi::Schema>::Ref(Ref::from_schema_name("Problem"));
    let told: &[&str] = match status {
        429 => &["Retry-After", "RateLimit", "RateLimit-Policy"],
        503 => &["Retry-After"],
        _ => &[],
    };
    let header = || HeaderBuilder::new().schema(Some(string())).build();
    told.iter()
        .fold(response, |response, name| response.header(*name, header()))
        .content(MEDIA_TYPE, ContentBuilder::new().schema(Some(schema)).build())
        .build()
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn idempotency_key() -> Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::True)
        .description(Some(
            "The same key with the same request gives the same answer, and one effect",
        ))
        .schema(Some(
            string()
                .min_length(Some(1))
                .max_length(Some(255))
                .pattern(Some("^[!-~]+$")),
        ))
        .build()
}

fn header(name: &str, about: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(about))
        .schema(Some(string()))
        .build()
}

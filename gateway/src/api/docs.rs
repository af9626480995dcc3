//! The document as JSON, and as a page that needs no script, no network and no library to be read.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use http::header;
use kit::Code;
use serde_json::Value;
use utoipa::openapi::OpenApi;

use crate::state::App;

const STYLE: &str = include_str!("../../templates/api/docs.css");

/// Routes of the document. Both answers are made once.
pub(super) fn router(document: OpenApi) -> Router<App> {
    let json: Arc<str> = document.to_pretty_json().unwrap_or_default().into();
    let page: Arc<str> = page(&serde_json::to_value(&document).unwrap_or_default()).into();
    Router::new()
        .route(
            "/openapi.json",
            get(|| async move { ([(header::CONTENT_TYPE, "application/json")], json.to_string()) }),
        )
        .route("/docs", get(|| async move { Html(page.to_string()).into_response() }))
        .route(
            "/docs.css",
            get(|| async { ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE) }),
        )
}

#[derive(Template)]
#[template(path = "api/docs.html")]
struct Docs {
    icon: String,
    title: String,
    about: String,
    groups: Vec<Group>,
    problems: Vec<Kind>,
    schemas: Vec<Schema>,
}

struct Group {
    tag: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    verb: String,
    path: String,
    /// Without the workspace, which nearly all begin with.
    short: String,
    about: String,
    parameters: Vec<Parameter>,
    body: String,
    answers: Vec<Answer>,
}

struct Parameter {
    name: String,
    place: String,
    kind: String,
    about: String,
    required: bool,
}

struct Answer {
    status: String,
    about: String,
    schema: String,
    anchor: String,
}

struct Kind {
    code: &'static str,
    status: u16,
    title: &'static str,
}

struct Schema {
    name: String,
    about: String,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    kind: String,
    anchor: String,
    about: String,
}

fn page(document: &Value) -> String {
    let docs = Docs {
        icon: crate::page::asset("favicon.svg"),
        title: text(&document["info"]["title"]),
        about: prose(&document["info"]["description"]),
        groups: groups(document),
        problems: Code::ALL
            .iter()
            .map(|code| Kind {
                code: code.slug(),
                status: code.http(),
                title: code.title(),
            })
            .collect(),
        schemas: entries(&document["components"]["schemas"])
            .map(|(name, schema)| schema_of(name, schema))
            .collect(),
    };
    docs.render().unwrap_or_default()
}

fn groups(document: &Value) -> Vec<Group> {
    let mut groups: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
    for (path, item) in entries(&document["paths"]) {
        for (verb, one) in entries(item).filter(|(_, one)| one.get("responses").is_some()) {
            groups
                .entry(text(&one["tags"][0]))
                .or_default()
                .push(operation(path, verb, one));
        }
    }
    groups
        .into_iter()
        .map(|(tag, operations)| Group { tag, operations })
        .collect()
}

fn operation(path: &str, verb: &str, one: &Value) -> Operation {
    let body = media_schema(&one["requestBody"]["content"]);
    Operation {
        id: format!("{verb}{}", path.replace(['/', '{', '}'], "-")),
        verb: verb.to_owned(),
        path: path.to_owned(),
        short: path.replace("/workspaces/{workspace_id}/", "/"),
        about: [prose(&one["summary"]), prose(&one["description"])]
            .join(" ")
            .trim()
            .to_owned(),
        parameters: list(&one["parameters"]).map(parameter).collect(),
        body: body.map(|schema| kind(schema).0).unwrap_or_default(),
        answers: entries(&one["responses"])
            .map(|(status, answer)| answer_of(status, answer))
            .collect(),
    }
}

fn parameter(one: &Value) -> Parameter {
    Parameter {
        name: text(&one["name"]),
        place: text(&one["in"]),
        kind: kind(&one["schema"]).0,
        about: prose(&one["description"]),
        required: one["required"].as_bool().unwrap_or_default(),
    }
}

fn answer_of(status: &str, answer: &Value) -> Answer {
    let (schema, anchor) = media_schema(&answer["content"]).map(kind).unwrap_or_default();
    Answer {
        status: status.to_owned(),
        about: prose(&answer["description"]),
        schema,
        anchor,
    }
}

fn media_schema(content: &Value) -> Option<&Value> {
    entries(content).next().map(|(_, media)| &media["schema"])
}

fn schema_of(name: &str, schema: &Value) -> Schema {
    let fields = entries(&schema["properties"]).map(|(name, field)| {
        let (kind, anchor) = kind(field);
        Field {
            name: name.to_owned(),
            kind,
            anchor,
            about: prose(&field["description"]),
        }
    });
    let mut about = prose(&schema["description"]);
    if let Some(choices) = schema["enum"].as_array() {
        let choices: Vec<_> = choices.iter().map(text).collect();
        about = format!("{about} One of: {}.", choices.join(", "));
    }
    Schema {
        name: name.to_owned(),
        about,
        fields: fields.collect(),
    }
}

/// A type in words, and the schema that it leads to.
fn kind(schema: &Value) -> (String, String) {
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|reference| reference.rsplit('/').next())
    {
        return (name.to_owned(), name.to_owned());
    }
    if let Some(choices) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        let real = choices.iter().find(|choice| choice["type"] != "null");
        let (name, anchor) = real.map(kind).unwrap_or_default();
        return (format!("{name} or null"), anchor);
    }
    match &schema["type"] {
        Value::String(one) if one == "array" => {
            let (name, anchor) = kind(&schema["items"]);
            (format!("list of {name}"), anchor)
        }
        Value::String(one) => (one.clone(), String::new()),
        Value::Array(several) => (several.iter().map(text).collect::<Vec<_>>().join(" or "), String::new()),
        _ => ("any".to_owned(), String::new()),
    }
}

/// A description as HTML: what stands between backticks is code.
fn prose(value: &Value) -> String {
    let escaped = text(value)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let parts = escaped.split('`').enumerate();
    parts
        .map(|(n, part)| {
            if n % 2 == 1 {
                format!("<code>{part}</code>")
            } else {
                part.to_owned()
            }
        })
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_names_every_operation_and_loads_nothing_from_elsewhere() {
        let document = serde_json::to_value(super::super::document()).unwrap();
        let page = super::page(&document);
        for path in document["paths"].as_object().unwrap().keys() {
            assert!(page.contains(path), "{path}");
        }
        assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"));
        assert!(!page.contains("style=") && page.contains("account-limit-reached"));
    }
}

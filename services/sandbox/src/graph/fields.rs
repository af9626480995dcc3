//! Graph's `fields` lists and its paging by cursor.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::GraphError;
use crate::call::Call;

/// One entry of a `fields` list: `name.argument(value){children}`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// Everything between the name and the braces.
    pub(crate) arguments: String,
    pub(crate) children: Vec<Field>,
}

/// Reads a `fields` list; unbalanced braces are a syntax error as at Graph.
pub(crate) fn fields(text: &str) -> Result<Vec<Field>, GraphError> {
    let syntax = || {
        GraphError::new(
            2500,
            "Syntax error \"Expected end of string instead of \"}\".\" in fields",
        )
    };
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (at, sign) in text.char_indices() {
        match sign {
            '{' | '(' => depth += 1,
            '}' | ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        if depth < 0 {
            return Err(syntax());
        }
    }
    if depth != 0 {
        return Err(syntax());
    }
    parts.push(&text[start..]);
    parts
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(field)
        .collect()
}

fn field(text: &str) -> Result<Field, GraphError> {
    let (head, children) = match text.split_once('{') {
        Some((head, rest)) => (head, fields(rest.strip_suffix('}').unwrap_or(rest))?),
        None => (text, Vec::new()),
    };
    let (name, arguments) = head.split_once('.').unwrap_or((head, ""));
    Ok(Field {
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        children,
    })
}

/// The members of `node` that were asked for, `id` always. A field that this kind of node never has is an error; one that
/// this node lacks is left out.
pub(crate) fn select(node: &Value, wanted: &[Field], known: &[&str], kind: &str) -> Result<Value, GraphError> {
    let mut out = Map::new();
    for field in wanted {
        if !known.contains(&field.name.as_str()) {
            let name = &field.name;
            return Err(GraphError::parameter(format!(
                "Tried accessing nonexisting field ({name}) on node type ({kind})"
            )));
        }
        match node.get(&field.name) {
            None | Some(Value::Null) => {}
            Some(value) => drop(out.insert(field.name.clone(), narrow(value, field))),
        }
    }
    if let Some(id) = node.get("id") {
        out.insert("id".to_owned(), id.clone());
    }
    Ok(Value::Object(out))
}

/// Applies the children of a field, through a `data` wrapper if there is one, and drops a summary nobody asked for.
fn narrow(value: &Value, field: &Field) -> Value {
    let Value::Object(members) = value else {
        return value.clone();
    };
    let pick = |value: &Value| -> Value {
        let Value::Object(members) = value else {
            return value.clone();
        };
        if field.children.is_empty() {
            return value.clone();
        }
        let chosen = field.children.iter().filter_map(|child| {
            let member = members.get(&child.name)?;
            Some((child.name.clone(), narrow(member, child)))
        });
        chosen
            .chain(members.get("id").map(|id| ("id".to_owned(), id.clone())))
            .collect::<Map<_, _>>()
            .into()
    };
    let Some(data) = members.get("data") else {
        return pick(value);
    };
    let mut out = members.clone();
    if !field.arguments.contains("summary") {
        out.remove("summary");
    }
    let data = match data {
        Value::Array(items) => items.iter().map(pick).collect(),
        other => pick(other),
    };
    out.insert("data".to_owned(), data);
    Value::Object(out)
}

/// Part of a list with `paging`. `limit` is what was asked, at most `most`. The next page's address carries the access
/// token, as Graph's does.
pub(crate) fn paged(call: &Call, items: Vec<Value>, usual: usize, most: usize) -> Result<Value, GraphError> {
    let limit = match call.query.first("limit") {
        None => usual,
        Some(text) => text
            .parse()
            .map_err(|_| GraphError::parameter("param limit must be an integer"))?,
    };
    let limit = limit.clamp(1, most.max(1));
    let start = call
        .query
        .first("after")
        .map_or(Some(0), |after| cursor_position(after).map(|last| last + 1));
    let start = start.ok_or_else(|| GraphError::parameter("Invalid cursor"))?;
    let total = items.len();
    let data: Vec<Value> = items.into_iter().skip(start).take(limit).collect();
    if data.is_empty() {
        return Ok(json!({"data": []}));
    }
    let last = start + data.len() - 1;
    let mut paging = json!({"cursors": {"before": cursor(start), "after": cursor(last)}});
    if last + 1 < total {
        paging["next"] = json!(next_address(call, &cursor(last)));
    }
    Ok(json!({"data": data, "paging": paging}))
}

fn next_address(call: &Call, after: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(call.query.pairs().filter(|(name, _)| *name != "after"));
    if call.query.first("access_token").is_none()
        && let Some(token) = call.bearer()
    {
        query.append_pair("access_token", token);
    }
    query.append_pair("after", after);
    format!("{}{}?{}", call.base, call.path, query.finish())
}

fn cursor(position: usize) -> String {
    format!("QVFI{}", URL_SAFE_NO_PAD.encode(format!("sbx:{position}")))
}

fn cursor_position(cursor: &str) -> Option<usize> {
    let text = URL_SAFE_NO_PAD.decode(cursor.strip_prefix("QVFI")?).ok()?;
    std::str::from_utf8(&text).ok()?.strip_prefix("sbx:")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_fields_are_selected_through_data_and_summaries_only_on_request() {
        let node = json!({"id": "1", "name": "Page", "likes": {"data": [], "summary": {"total_count": 4}},
            "picture": {"data": {"url": "u", "width": 50}}});
        let wanted = fields("name,picture.type(square){url},likes.summary(true)").unwrap();
        let known = ["id", "name", "likes", "picture"];
        let out = select(&node, &wanted, &known, "Page").unwrap();
        let expected = json!({"id": "1", "name": "Page", "picture": {"data": {"url": "u"}},
            "likes": {"data": [], "summary": {"total_count": 4}}});
        assert_eq!(out, expected);
        let bare = select(&node, &fields("likes").unwrap(), &known, "Page").unwrap();
        assert_eq!(bare, json!({"id": "1", "likes": {"data": []}}));
    }

    #[test]
    fn a_field_that_does_not_exist_and_an_open_brace_are_errors() {
        let unknown = select(&json!({"id": "1"}), &fields("nmae").unwrap(), &["name"], "Page").unwrap_err();
        assert_eq!(unknown.code, 100);
        assert_eq!(fields("a{b").unwrap_err().code, 2500);
    }
}

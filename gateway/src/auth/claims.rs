//! What claims mean: dates, the person, the workspaces; and what makes an ID token one of ours. Pure.

use kit::Role;
use serde_json::Value;

use super::provider::{Claims, LEEWAY_SECONDS};

/// An ID token is looked at once, right after it was made.
const OLDEST_ID_TOKEN_SECONDS: i64 = 600;
const LONGEST_SUBJECT: usize = 255;
const LONGEST_NAME: usize = 200;

/// When a token ends, in Unix seconds; `None` when it has ended, or not begun.
pub(super) fn end_of(claims: &Claims, now: i64) -> Option<i64> {
    let expires = seconds(claims, "exp")?;
    let early = seconds(claims, "nbf").is_some_and(|not_before| not_before > now + LEEWAY_SECONDS);
    (expires >= now - LEEWAY_SECONDS && !early).then_some(expires)
}

/// An ID token tells a client who signed in; it is no key to an API.
pub(super) fn is_id_token(claims: &Claims) -> bool {
    ["nonce", "at_hash", "c_hash"]
        .iter()
        .any(|name| claims.contains_key(*name))
        || claims.get("typ").is_some_and(|typ| typ == "ID")
}

/// Checks what OpenID Connect Core 3.1.3.7 asks of an ID token beyond signature, issuer and audience. Says what is wrong.
pub(crate) fn check_id_token(claims: &Claims, client_id: &str, nonce: &str, now: i64) -> Result<(), &'static str> {
    let audiences = claims.get("aud").and_then(Value::as_array).map_or(1, Vec::len);
    let party = text(claims, "azp");
    if (audiences > 1 || claims.contains_key("azp")) && party != client_id {
        return Err("azp");
    }
    if end_of(claims, now).is_none() {
        return Err("exp or nbf");
    }
    let issued = seconds(claims, "iat").ok_or("iat")?;
    if issued > now + LEEWAY_SECONDS || issued < now - OLDEST_ID_TOKEN_SECONDS {
        return Err("iat");
    }
    if nonce.is_empty() || text(claims, "nonce") != nonce {
        return Err("nonce");
    }
    Ok(())
}

/// The person's id at the provider.
pub(super) fn subject(claims: &Claims) -> Option<&str> {
    Some(text(claims, "sub")).filter(|sub| !sub.is_empty() && sub.len() <= LONGEST_SUBJECT)
}

/// A name to show; may be empty.
pub(super) fn name(claims: &Claims) -> String {
    let names = ["name", "preferred_username"].map(|name| text(claims, name));
    let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    name.chars()
        .filter(|letter| !letter.is_control())
        .take(LONGEST_NAME)
        .collect()
}

/// `{"acme": "owner"}` or `["acme:owner"]`; what is neither, or no role, is no membership.
pub(super) fn memberships(claim: Option<&Value>) -> Vec<(String, Role)> {
    let one = |workspace: &str, role: &str| {
        super::dev::is_id(workspace)
            .then(|| Some((workspace.to_owned(), Role::parse(role)?)))
            .flatten()
    };
    match claim {
        Some(Value::Object(map)) => map.iter().filter_map(|(id, role)| one(id, role.as_str()?)).collect(),
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(|entry| entry.as_str()?.split_once(':'))
            .filter_map(|(id, role)| one(id, role))
            .collect(),
        _ => Vec::new(),
    }
}

fn seconds(claims: &Claims, name: &str) -> Option<i64> {
    let value = claims.get(name)?;
    // Some providers write fractions of a second.
    #[allow(clippy::cast_possible_truncation, reason = "seconds of our age fit")]
    value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))
}

fn text<'a>(claims: &'a Claims, name: &str) -> &'a str {
    claims.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn id_token(changes: Value) -> Claims {
        let mut claims = json!({"sub": "u", "aud": "hub", "exp": NOW + 60, "iat": NOW, "nonce": "n"});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object().unwrap().clone()
    }

    #[test]
    fn b3_dates_at_the_end_of_time_are_read_without_an_overflow() {
        let end = |exp: Value| end_of(&id_token(json!({"exp": exp})), NOW);
        assert_eq!(end(json!(i64::MAX)), Some(i64::MAX));
        assert_eq!(end(json!(i64::MIN)), None);
        assert_eq!(
            check_id_token(&id_token(json!({"iat": i64::MIN})), "hub", "n", NOW),
            Err("iat")
        );
    }

    #[test]
    fn an_id_token_must_be_for_us_of_this_sign_in_and_of_now() {
        let check = |changes| check_id_token(&id_token(changes), "hub", "n", NOW);
        assert_eq!(check(json!({})), Ok(()));
        assert_eq!(check(json!({"aud": ["hub", "other"], "azp": "hub"})), Ok(()));
        for (changes, wrong) in [
            (json!({"nonce": "other"}), "nonce"),
            (json!({"nonce": null}), "nonce"),
            (json!({"azp": "other"}), "azp"),
            (json!({"aud": ["hub", "other"]}), "azp"),
            (json!({"exp": NOW - 31}), "exp or nbf"),
            (json!({"nbf": NOW + 31}), "exp or nbf"),
            (json!({"iat": NOW + 31}), "iat"),
            (json!({"iat": NOW - 601}), "iat"),
            (json!({"iat": null}), "iat"),
        ] {
            assert_eq!(check(changes.clone()), Err(wrong), "{changes}");
        }
        assert_eq!(
            check_id_token(&id_token(json!({"nonce": ""})), "hub", "", NOW),
            Err("nonce")
        );
    }

    #[test]
    fn memberships_are_read_from_a_map_or_a_list_and_nonsense_is_none() {
        let read = |json: Value| memberships(Some(&json));
        assert_eq!(
            read(json!({"acme": "owner", "b c": "owner", "d": "root"})),
            [("acme".to_owned(), Role::Owner)]
        );
        assert_eq!(read(json!(["acme:member", "x"])), [("acme".to_owned(), Role::Member)]);
        assert!(read(json!("acme")).is_empty() && memberships(None).is_empty());
    }

    #[test]
    fn a_name_is_of_bounded_length_and_without_control_characters() {
        let claims = |name: &str| {
            json!({"name": name, "preferred_username": "dana"})
                .as_object()
                .unwrap()
                .clone()
        };
        assert_eq!(name(&claims("Da\u{0}na\n")), "Dana");
        assert_eq!(name(&claims("")), "dana");
        assert_eq!(name(&claims(&"x".repeat(1000))).len(), LONGEST_NAME);
    }
}

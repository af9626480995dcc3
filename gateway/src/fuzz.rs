//! Promises about bytes that others make, one function a reader: each takes any bytes and panics when its promise is broken.
//! Called by the fuzz targets in `fuzz/`, and by tests with everything that those found. Not compiled into the service.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderValue};
use url::{Host, Url};

use crate::avatars::Avatars;
use crate::{auth, events, oauth};

static AVATARS: LazyLock<Option<Avatars>> =
    LazyLock::new(|| Avatars::new(vec![".fbcdn.net".into(), "pbs.twimg.com".into()], 1, false).ok());

/// The query of a platform's redirect (FAULTS A13, A17): what is passed on is short, printable and stands once.
///
/// # Panics
///
/// When a promise is broken.
pub fn callback_query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(parameters) = oauth::parse_callback(&text) else {
        return;
    };
    let given = |name: &str| {
        url::form_urlencoded::parse(text.as_bytes())
            .filter(|(found, _)| found == name)
            .count()
    };
    assert!(
        given("state") == 1 && given("code") <= 1 && given("error") <= 1,
        "polluted"
    );
    for value in [&parameters.state, &parameters.code, &parameters.error] {
        assert!(
            value.len() <= 2048 && value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '),
            "{value:?}"
        );
    }
    assert!(!parameters.state.is_empty());
    assert!(
        parameters.code.is_empty() || parameters.error.is_empty(),
        "an error and a code"
    );
}

/// The header `Last-Event-ID` (FAULTS K4): a number of ours, nothing, or refused.
///
/// # Panics
///
/// When a promise is broken.
pub fn last_event_id(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let mut headers = HeaderMap::new();
    headers.insert("last-event-id", value);
    if let Ok(Some(id)) = events::last_event_id(&headers) {
        assert!(id >= 0 && bytes.iter().all(u8::is_ascii_digit), "{bytes:?} became {id}");
    }
}

/// The address of a profile picture (FAULTS E1, E4): fetched only by https, from a listed name, on its own port.
///
/// # Panics
///
/// When a promise is broken.
pub fn avatar_url(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (Ok(url), Some(avatars)) = (Url::parse(&text), AVATARS.as_ref()) else {
        return;
    };
    if !avatars.allows(&url) {
        return;
    }
    let Some(Host::Domain(host)) = url.host() else {
        panic!("no name: {url}")
    };
    assert!(
        host == "pbs.twimg.com" || host == "fbcdn.net" || host.ends_with(".fbcdn.net"),
        "{host}"
    );
    assert!(url.scheme() == "https" && url.port().is_none() && url.username().is_empty());
}

/// The claims of a provider's token whose signature is right (FAULTS B3, B8): read without an overflow, and whoever is let in
/// has an id, a name that can be shown, and an end that has not come.
///
/// # Panics
///
/// When a promise is broken.
pub fn provider_claims(bytes: &[u8]) {
    const NOW: i64 = 1_790_000_000;
    let Ok(claims) = serde_json::from_slice(bytes) else {
        return;
    };
    let _ = auth::check_id_token(&claims, "hub", "n", NOW);
    let Some(person) = auth::person_of(&claims, "workspaces", NOW) else {
        return;
    };
    assert!(!person.user_id.is_empty() && person.user_id.len() <= 255);
    assert!(person.name.chars().count() <= 200 && !person.name.contains(char::is_control));
    assert!(
        person.expires_at_ms.is_some_and(|end| end / 1000 >= NOW - 30),
        "{:?}",
        person.expires_at_ms
    );
    assert!(person.memberships.iter().all(|(workspace, _)| !workspace.is_empty()));
}

#[cfg(test)]
#[path = "../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;

    #[test]
    fn a13_a17_hold_for_every_query_in_the_corpus() {
        replay("callback_query", super::callback_query);
    }

    #[test]
    fn k4_holds_for_every_header_in_the_corpus() {
        replay("last_event_id", super::last_event_id);
    }

    #[test]
    fn e1_e4_hold_for_every_picture_in_the_corpus() {
        replay("avatar_url", super::avatar_url);
    }

    #[test]
    fn b3_b8_hold_for_all_claims_in_the_corpus() {
        replay("provider_claims", super::provider_claims);
    }
}

//! The parts of OAuth that all platforms share, made from `Spec`: the address of the consent page, the calls that trade
//! a code and renew a token, and proof keys. Pure: builds requests, sends none.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proto::platforms::v1::Credential;
use url::form_urlencoded;

use crate::app::{App, ProofKey};
use crate::http::Outgoing;
use crate::spec::{ClientAuth, Pkce, Spec};

/// What a person is asked, and where they come back to.
pub(crate) struct Ask<'a> {
    pub(crate) state: &'a str,
    pub(crate) redirect_uri: &'a str,
    /// Empty when the platform takes no proof key.
    pub(crate) verifier: &'a str,
    pub(crate) rerequest: bool,
}

/// A code that came back.
pub(crate) struct CodeGrant<'a> {
    pub(crate) code: &'a str,
    pub(crate) redirect_uri: &'a str,
    pub(crate) verifier: &'a str,
}

/// Whether this app sends a proof key.
pub(crate) fn uses_verifier(spec: &Spec, app: &App) -> bool {
    match spec.pkce {
        Pkce::None => false,
        Pkce::Base64Url => true,
        Pkce::HexIfConfigured => app.proof_key == ProofKey::Hex,
    }
}

/// The S256 challenge in the platform's writing.
pub(crate) fn challenge(pkce: Pkce, verifier: &str) -> String {
    let hash = kit::id::sha256(verifier.as_bytes());
    if pkce == Pkce::HexIfConfigured {
        hex::encode(hash)
    } else {
        URL_SAFE_NO_PAD.encode(hash)
    }
}

/// The address of the consent page.
pub(crate) fn authorize(spec: &Spec, app: &App, ask: &Ask<'_>, extras: &[(&'static str, String)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("response_type", "code")
        .append_pair(spec.client_id, &app.client_id);
    query
        .append_pair("redirect_uri", ask.redirect_uri)
        .append_pair("state", ask.state);
    query.append_pair("scope", &app.scopes.join(spec.separator));
    if !ask.verifier.is_empty() {
        query
            .append_pair("code_challenge", &challenge(spec.pkce, ask.verifier))
            .append_pair("code_challenge_method", "S256");
    }
    query.extend_pairs(extras);
    // A space as `+` is not understood everywhere in a query; nothing else is written with a plus.
    let query = query.finish().replace('+', "%20");
    format!("{}{}?{query}", app.dialog_base, path(spec.dialog_path, app))
}

/// A path with the configured API version in it.
pub(crate) fn path(path: &str, app: &App) -> String {
    path.replace("{version}", &app.version)
}

/// The call that trades a code.
pub(crate) fn code_call(spec: &Spec, app: &App, grant: &CodeGrant<'_>) -> Outgoing {
    let mut form = vec![
        ("code", grant.code.to_owned()),
        ("redirect_uri", grant.redirect_uri.to_owned()),
    ];
    if spec.client_auth != ClientAuth::Query {
        form.push(("grant_type", "authorization_code".to_owned()));
    }
    if !grant.verifier.is_empty() {
        form.push(("code_verifier", grant.verifier.to_owned()));
    }
    token_call(spec, app, "code", form)
}

/// The call that renews by refresh token; none when there is no refresh token.
pub(crate) fn refresh_call(spec: &Spec, app: &App, credential: &Credential) -> Option<Outgoing> {
    let token = credential.refresh_token.clone();
    let form = vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", token)];
    (!credential.refresh_token.is_empty()).then(|| token_call(spec, app, "refresh", form))
}

/// A call of the token endpoint, with the app's credentials where the platform wants them.
pub(crate) fn token_call(
    spec: &Spec,
    app: &App,
    step: &'static str,
    mut form: Vec<(&'static str, String)>,
) -> Outgoing {
    let url = format!("{}{}", app.token_base, path(spec.token_path, app));
    form.push((spec.client_id, app.client_id.clone()));
    if spec.client_auth != ClientAuth::Basic {
        form.push(("client_secret", app.secret().to_owned()));
    }
    match spec.client_auth {
        ClientAuth::Query => Outgoing::get(step, url, form),
        ClientAuth::Body => Outgoing::form(step, url, form),
        ClientAuth::Basic => {
            Outgoing::form(step, url, form).header("authorization", basic(&app.client_id, app.secret()))
        }
    }
}

/// The value of HTTP Basic.
pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    #[test]
    fn challenges_match_the_vectors() {
        assert_eq!(
            challenge(Pkce::Base64Url, VERIFIER),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
        assert_eq!(
            challenge(Pkce::HexIfConfigured, VERIFIER),
            "13d31e961a1ad8ec2f16b10c4c982e0876a878ad6df144566ee1894acb70f9c3"
        );
    }

    #[test]
    fn basic_matches_the_vector() {
        assert_eq!(
            basic("sbx-client-id", "sbx-client-secret"),
            "Basic c2J4LWNsaWVudC1pZDpzYngtY2xpZW50LXNlY3JldA=="
        );
    }
}

//! Who a call is made for: the person as the gateway authenticated them, signed for a minute so that every service can check it.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::seal::KeyRing;
use crate::{Clock, Code, Failure, Secret, id};

/// How long a signed identity is good for: one request with its onward calls.
const LIFETIME: Duration = Duration::from_secs(120);
const ISSUER: &str = "socializioz-gateway";

/// What a person may do in a workspace. Ordered: an owner may all that an admin may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees everything but scopes, creates posts.
    Member,
    /// Connects, reconnects, disconnects.
    Admin,
    /// Also pays.
    Owner,
}

impl Role {
    /// `member`, `admin` or `owner`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// The reverse of [`Role::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Member, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}

/// A person in a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Person {
    /// Opaque id from the identity provider.
    pub user_id: String,
    /// Name to show; may be empty.
    pub name: String,
    /// The workspace the call is made in.
    pub workspace_id: String,
    /// Their role there.
    pub role: Role,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    name: String,
    ws: String,
    role: Role,
    exp: i64,
}

/// Signs and verifies identities with a key that all services share. Cheap to clone.
#[derive(Clone)]
pub struct Signer {
    keys: Arc<Keys>,
    clock: Clock,
}

/// The key as it is used, made ready once: every call of every service is verified.
struct Keys {
    key: Secret,
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Signer {
    /// A signer over the hub's identity key.
    pub fn new(key: Secret, clock: Clock) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        // Expiry is checked below, by the clock that is passed in.
        validation.validate_exp = false;
        validation.validate_aud = false;
        let keys = Keys {
            encoding: EncodingKey::from_secret(key.expose().as_bytes()),
            decoding: DecodingKey::from_secret(key.expose().as_bytes()),
            key,
            validation,
        };
        Self {
            keys: Arc::new(keys),
            clock,
        }
    }

    /// A compact signed identity, good for two minutes.
    pub fn sign(&self, person: &Person) -> Result<String, Failure> {
        let claims = Claims {
            iss: ISSUER.into(),
            sub: person.user_id.clone(),
            name: person.name.clone(),
            ws: person.workspace_id.clone(),
            role: person.role,
            exp: (self.clock.now_ms() + crate::clock::millis(LIFETIME)) / 1000,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.keys.encoding)
            .map_err(|_| Failure::new(Code::Internal, "the identity could not be signed"))
    }

    /// A key derived from the identity key, for what only the hub's own processes may read; `purpose` keeps uses apart.
    pub fn ring(&self, purpose: &str) -> Result<KeyRing, Failure> {
        let parts = [
            b"socializioz seal\0",
            purpose.as_bytes(),
            b"\0",
            self.keys.key.expose().as_bytes(),
        ];
        let key = STANDARD.encode(id::sha256(&Zeroizing::new(parts.concat())));
        KeyRing::parse([format!("identity:{key}").as_str()])
            .map_err(|_| Failure::new(Code::Internal, "no key could be derived"))
    }

    /// A mark that only the hub's own processes can make of `text`; `purpose` keeps uses apart.
    pub fn mark(&self, purpose: &str, text: &str) -> [u8; 16] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.keys.key.expose().as_bytes());
        let mut mark = [0; 16];
        let tag = hmac::sign(
            &key,
            [b"socializioz mark\0", purpose.as_bytes(), b"\0", text.as_bytes()]
                .concat()
                .as_slice(),
        );
        mark.copy_from_slice(&tag.as_ref()[..16]);
        mark
    }

    /// True when `mark` is the mark of `text`; takes as long whatever is wrong.
    pub fn is_mark(&self, purpose: &str, text: &str, mark: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&self.mark(purpose, text), mark).is_ok()
    }

    /// The person of a signed identity, or `Unauthenticated`.
    pub fn verify(&self, token: &str) -> Result<Person, Failure> {
        let refused = || Failure::new(Code::Unauthenticated, "the signed identity is not valid");
        let claims = jsonwebtoken::decode::<Claims>(token, &self.keys.decoding, &self.keys.validation)
            .map_err(|_| refused())?
            .claims;
        if claims.exp.saturating_mul(1000) < self.clock.now_ms() {
            return Err(refused());
        }
        Ok(Person {
            user_id: claims.sub,
            name: claims.name,
            workspace_id: claims.ws,
            role: claims.role,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Person {
        Person {
            user_id: "usr_ada".into(),
            name: "Ada".into(),
            workspace_id: "demo".into(),
            role: Role::Admin,
        }
    }

    #[test]
    fn an_identity_is_good_for_two_minutes_and_under_its_own_key_only() {
        let clock = Clock::manual(1_790_000_000_000);
        let signer = Signer::new(Secret::new("one key of enough length"), clock.clone());
        let signed = signer.sign(&ada()).unwrap();
        assert_eq!(signer.verify(&signed).unwrap(), ada());
        let other = Signer::new(Secret::new("another key"), clock.clone());
        assert_eq!(other.verify(&signed).unwrap_err().code, Code::Unauthenticated);
        clock.advance(Duration::from_secs(121));
        assert_eq!(signer.verify(&signed).unwrap_err().code, Code::Unauthenticated);
    }

    #[test]
    fn a_mark_is_of_its_text_its_purpose_and_its_key() {
        let signer = |key| Signer::new(Secret::new(key), Clock::manual(0));
        let mark = signer("one").mark("cursor", "text");
        assert!(signer("one").is_mark("cursor", "text", &mark));
        assert!(!signer("one").is_mark("cursor", "texts", &mark) && !signer("one").is_mark("other", "text", &mark));
        assert!(
            !signer("two").is_mark("cursor", "text", &mark) && !signer("one").is_mark("cursor", "text", &mark[..15])
        );
    }

    #[test]
    fn owners_may_what_admins_may() {
        assert!(Role::Owner > Role::Admin && Role::Admin > Role::Member);
        assert_eq!(Role::parse("owner"), Some(Role::Owner));
        assert_eq!(Role::parse("root"), None);
    }
}

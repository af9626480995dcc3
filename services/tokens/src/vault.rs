//! Seals and opens what must not be read at rest. Each record is bound to its workspace, row, column and generation.
//!
//! A credential is sealed for the generation it is stored under: a row that is rolled back or swapped does not open.

use kit::Secret;
use kit::seal::{Aad, KeyRing};
use prost::Message;
use proto::platforms::v1::{Answers, Credential, DiscoverResponse};
use zeroize::Zeroizing;

use crate::Error;

/// Columns that hold sealed records: table, key column, sealed column, and which field of the [`Aad`] they are.
pub const SEALED: &[(&str, &str, &str, &str)] = &[
    ("grants", "id", "sealed_credential", "credential"),
    ("attachments", "account_id", "sealed_derived", "derived"),
    ("exchanges", "session_id", "sealed_request", "request"),
    ("exchanges", "session_id", "sealed_receipt", "receipt"),
    ("exchanges", "session_id", "sealed_credential", "credential"),
    ("exchanges", "session_id", "sealed_discovery", "discovery"),
    ("attempts", "id", "sealed_receipt", "receipt"),
    ("quarantine", "id", "sealed_token", "token"),
    ("revocations", "id", "sealed_credential", "credential"),
];

/// The place of a sealed record: workspace, row, column, generation (0 where there is none).
#[derive(Clone, Copy)]
pub struct Place<'a>(pub &'a str, pub &'a str, pub &'a str, pub i64);

impl<'a> Place<'a> {
    fn aad(self) -> Aad<'a> {
        Aad {
            workspace: self.0,
            record: self.1,
            field: self.2,
            generation: self.3,
        }
    }
}

/// Seals and opens.
#[derive(Clone)]
pub struct Vault {
    ring: KeyRing,
}

impl Vault {
    /// A vault over the process' key ring.
    pub fn new(ring: KeyRing) -> Self {
        Self { ring }
    }

    /// The ring itself, for rotation.
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Seals a message.
    pub fn seal(&self, place: Place<'_>, message: &impl Message) -> Result<Vec<u8>, Error> {
        let plain = Zeroizing::new(message.encode_to_vec());
        Ok(self.ring.seal(&place.aad(), &plain)?)
    }

    fn open<M: Message + Default>(&self, place: Place<'_>, sealed: &[u8]) -> Result<M, Error> {
        let plain = self.ring.open(&place.aad(), sealed)?;
        M::decode(plain.as_slice()).map_err(|_| Error::Unreadable)
    }

    /// Seals anew under the first key. `None` when it already is.
    pub fn reseal(&self, place: Place<'_>, sealed: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if kit::seal::key_id(sealed)? == self.ring.primary_id() {
            return Ok(None);
        }
        let plain = self.ring.open(&place.aad(), sealed)?;
        Ok(Some(self.ring.seal(&place.aad(), &plain)?))
    }

    /// A credential.
    pub fn credential(&self, place: Place<'_>, sealed: &[u8]) -> Result<Credential, Error> {
        self.open(place, sealed)
    }

    /// Raw answers of a platform.
    pub fn answers(&self, place: Place<'_>, sealed: &[u8]) -> Result<Answers, Error> {
        self.open(place, sealed)
    }

    /// What an exchange discovered, with derived tokens.
    pub fn discovery(&self, place: Place<'_>, sealed: &[u8]) -> Result<DiscoverResponse, Error> {
        self.open(place, sealed)
    }

    /// Seals a single token.
    pub fn seal_token(&self, place: Place<'_>, token: &str) -> Result<Vec<u8>, Error> {
        Ok(self.ring.seal(&place.aad(), token.as_bytes())?)
    }

    /// A single token.
    pub fn token(&self, place: Place<'_>, sealed: &[u8]) -> Result<Secret, Error> {
        let plain = self.ring.open(&place.aad(), sealed)?;
        let text = std::str::from_utf8(&plain).map_err(|_| Error::Unreadable)?;
        Ok(Secret::new(text))
    }

    /// Opens any message: requests kept for a restart.
    pub fn message<M: Message + Default>(&self, place: Place<'_>, sealed: &[u8]) -> Result<M, Error> {
        self.open(place, sealed)
    }
}

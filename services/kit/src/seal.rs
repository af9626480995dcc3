//! Sealing at rest: AES-256-GCM with a data key per record, wrapped under a ring of key-encryption keys.
//!
//! The first key of the ring seals, all open. Every envelope is bound to its place (workspace, record, field, generation) and
//! its key id through the additional data, so a row that was moved, swapped or rolled back does not open.
//!
//! Envelope: `1 | len(key id) | key id | nonce 12 | wrapped data key 48 | nonce 12 | ciphertext + tag`.

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad as AeadAad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::{Secret, id};

const VERSION: u8 = 1;
const KEY_LEN: usize = 32;
const TAG_LEN: usize = 16;
const WRAPPED_LEN: usize = KEY_LEN + TAG_LEN;

/// Why something could not be sealed or opened. Says nothing about the content.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The envelope is damaged, or sits in another place than it was sealed for.
    #[error("the sealed record does not open: it was changed or moved")]
    Refused,
    /// Not an envelope of ours.
    #[error("not a sealed record")]
    Malformed,
    /// The key it was sealed under is not in the ring.
    #[error("sealed under key {0:?}, which is not in keys.ring")]
    UnknownKey(String),
    /// The ring cannot be used.
    #[error("{0}")]
    Ring(String),
}

/// The place that a sealed record belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Aad<'a> {
    /// Workspace id; empty where there is none.
    pub workspace: &'a str,
    /// Id of the row.
    pub record: &'a str,
    /// Which column.
    pub field: &'a str,
    /// Generation of the credential; 0 where there is none.
    pub generation: i64,
}

impl Aad<'_> {
    /// Length-prefixed, so that no two places have the same bytes.
    fn bytes(&self, key_id: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        for part in [self.workspace, self.record, self.field, key_id] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes
    }
}

/// Key-encryption keys: the first seals, all open.
#[derive(Clone)]
pub struct KeyRing(std::sync::Arc<Vec<(String, LessSafeKey)>>);

impl KeyRing {
    /// A ring from `<id>:<base64 of 32 bytes>` entries.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut keys: Vec<(String, LessSafeKey)> = Vec::new();
        for entry in entries.into_iter().map(str::trim).filter(|entry| !entry.is_empty()) {
            let (id, key) = entry
                .split_once(':')
                .ok_or_else(|| ring("an entry is not <id>:<base64 of 32 bytes>"))?;
            if id.is_empty() || id.len() > 64 || keys.iter().any(|(known, _)| known == id) {
                return Err(ring("key ids must be unique and 1 to 64 characters long"));
            }
            let bytes = Zeroizing::new(STANDARD.decode(key).map_err(|_| ring("a key is not valid base64"))?);
            keys.push((
                id.to_owned(),
                key_of(&bytes).map_err(|_| ring("a key is not 32 bytes long"))?,
            ));
        }
        if keys.is_empty() {
            return Err(ring("there is no key in it"));
        }
        Ok(Self(std::sync::Arc::new(keys)))
    }

    /// Reads a ring from a file, one entry a line.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text =
            std::fs::read_to_string(path).map_err(|error| ring(&format!("cannot read {}: {error}", path.display())))?;
        Self::parse(Secret::new(text).expose().lines())
    }

    /// Reads the ring kept in a file, making one with a fresh key when there is none: the embedded mode.
    /// Several processes may start at once: whoever creates the file wins, the others read it.
    pub fn read_or_create(path: &Path) -> Result<Self, Error> {
        use std::io::Write;
        let failed = |error: std::io::Error| ring(&format!("cannot make {}: {error}", path.display()));
        if !path.exists() {
            let mut key = Zeroizing::new([0_u8; KEY_LEN]);
            id::fill(&mut *key);
            let line = Zeroizing::new(format!("k1:{}\n", STANDARD.encode(*key)));
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(failed)?;
            }
            // Written aside and linked into place, so that nobody reads half a key.
            let aside = path.with_extension(format!("new.{}", id::sha256_hex(&key[..])[..8].to_owned()));
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&aside).map_err(failed)?;
            file.write_all(line.as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(failed)?;
            let linked = std::fs::hard_link(&aside, path);
            let _ = std::fs::remove_file(&aside);
            if let Err(error) = linked
                && !path.exists()
            {
                return Err(failed(error));
            }
        }
        Self::read(path)
    }

    /// Id of the key that seals.
    pub fn primary_id(&self) -> &str {
        &self.0[0].0
    }

    /// Ids of all keys, the sealing one first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(id, _)| id.as_str())
    }

    /// Seals `plain` for one place.
    pub fn seal(&self, aad: &Aad<'_>, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let (key_id, kek) = &self.0[0];
        let aad = aad.bytes(key_id);
        let mut data_key = Zeroizing::new([0_u8; KEY_LEN]);
        id::fill(&mut *data_key);
        let mut envelope = Vec::with_capacity(2 + key_id.len() + 2 * NONCE_LEN + WRAPPED_LEN + plain.len() + TAG_LEN);
        envelope.push(VERSION);
        envelope.push(u8::try_from(key_id.len()).map_err(|_| Error::Malformed)?);
        envelope.extend_from_slice(key_id.as_bytes());
        encrypt(kek, &aad, &data_key[..], &mut envelope)?;
        encrypt(&key_of(&data_key[..])?, &aad, plain, &mut envelope)?;
        Ok(envelope)
    }

    /// Opens what was sealed for exactly this place.
    pub fn open(&self, aad: &Aad<'_>, envelope: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (key_id, rest) = split(envelope)?;
        let (_, kek) = self
            .0
            .iter()
            .find(|(id, _)| id == key_id)
            .ok_or_else(|| Error::UnknownKey(key_id.to_owned()))?;
        let aad = aad.bytes(key_id);
        let (wrapped, sealed) = rest.split_at_checked(NONCE_LEN + WRAPPED_LEN).ok_or(Error::Malformed)?;
        let data_key = decrypt(kek, &aad, wrapped)?;
        decrypt(&key_of(&data_key)?, &aad, sealed)
    }
}

/// Id of the key that an envelope was sealed under.
pub fn key_id(envelope: &[u8]) -> Result<&str, Error> {
    split(envelope).map(|(id, _)| id)
}

fn split(envelope: &[u8]) -> Result<(&str, &[u8]), Error> {
    let [VERSION, len, rest @ ..] = envelope else {
        return Err(Error::Malformed);
    };
    let (id, rest) = rest.split_at_checked(usize::from(*len)).ok_or(Error::Malformed)?;
    Ok((std::str::from_utf8(id).map_err(|_| Error::Malformed)?, rest))
}

fn key_of(bytes: &[u8]) -> Result<LessSafeKey, Error> {
    UnboundKey::new(&AES_256_GCM, bytes)
        .map(LessSafeKey::new)
        .map_err(|_| Error::Malformed)
}

fn encrypt(key: &LessSafeKey, aad: &[u8], plain: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut nonce = [0_u8; NONCE_LEN];
    id::fill(&mut nonce);
    let mut buffer = Zeroizing::new(Vec::with_capacity(plain.len() + TAG_LEN));
    buffer.extend_from_slice(plain);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), AeadAad::from(aad), &mut *buffer)
        .map_err(|_| Error::Refused)?;
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&buffer);
    Ok(())
}

fn decrypt(key: &LessSafeKey, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (nonce, ciphertext) = sealed.split_at_checked(NONCE_LEN).ok_or(Error::Malformed)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Malformed)?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let plain = key
        .open_in_place(nonce, AeadAad::from(aad), &mut buffer)
        .map_err(|_| Error::Refused)?
        .len();
    buffer.truncate(plain);
    Ok(buffer)
}

fn ring(problem: &str) -> Error {
    Error::Ring(problem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const NEW: &str = "new:HxEdHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

    fn place(generation: i64) -> Aad<'static> {
        Aad {
            workspace: "demo",
            record: "grt_1",
            field: "credential",
            generation,
        }
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_only() {
        let ring = KeyRing::parse([OLD]).unwrap();
        let sealed = ring.seal(&place(3), b"SBXtoken").unwrap();
        assert_eq!(&*ring.open(&place(3), &sealed).unwrap(), b"SBXtoken");
        assert_eq!(ring.open(&place(2), &sealed).unwrap_err(), Error::Refused);
        assert_eq!(
            ring.open(
                &Aad {
                    workspace: "other",
                    ..place(3)
                },
                &sealed
            )
            .unwrap_err(),
            Error::Refused
        );
        assert_eq!(
            ring.open(
                &Aad {
                    record: "grt_2",
                    ..place(3)
                },
                &sealed
            )
            .unwrap_err(),
            Error::Refused
        );
        assert_eq!(
            ring.open(
                &Aad {
                    field: "receipt",
                    ..place(3)
                },
                &sealed
            )
            .unwrap_err(),
            Error::Refused
        );
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let old = KeyRing::parse([OLD]).unwrap();
        let both = KeyRing::parse([NEW, OLD]).unwrap();
        let sealed = old.seal(&place(1), b"x").unwrap();
        assert_eq!(&*both.open(&place(1), &sealed).unwrap(), b"x");
        let resealed = both.seal(&place(1), b"x").unwrap();
        assert_eq!(key_id(&resealed).unwrap(), "new");
        assert_eq!(
            old.open(&place(1), &resealed).unwrap_err(),
            Error::UnknownKey("new".into())
        );
    }

    #[test]
    fn g7_every_flipped_bit_and_every_cut_is_a_typed_error() {
        let ring = KeyRing::parse([OLD]).unwrap();
        let sealed = ring.seal(&place(1), b"SBXtoken").unwrap();
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(ring.open(&place(1), &damaged).is_err(), "byte {at}");
            assert!(ring.open(&place(1), &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_ring_is_made_once_and_read_again() {
        let folder = std::env::temp_dir().join(id::new("ring", &crate::Clock::system()));
        let path = folder.join("keys");
        let sealed = KeyRing::read_or_create(&path).unwrap().seal(&place(1), b"x").unwrap();
        assert!(KeyRing::read_or_create(&path).unwrap().open(&place(1), &sealed).is_ok());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_bad_ring_says_what_is_wrong_without_printing_it() {
        for bad in ["nokey", "a:!!!", "a:AAAA", ""] {
            let Err(Error::Ring(problem)) = KeyRing::parse([bad]) else {
                panic!("{bad} was taken")
            };
            assert!(!problem.contains("AAAA") && !problem.contains("!!!"));
        }
    }
}

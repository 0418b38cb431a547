//! Signed notes (c2sp.org/signed-note): a text, and below an empty line who
//! vouches for it. Any tool for transparency logs reads them.

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// Ed25519, as the specification numbers it.
const ALGORITHM: u8 = 1;

/// Who signs, by name: what others need to check it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub(crate) name: String,
    key: VerifyingKey,
}

/// A key and the name that it signs under.
pub(crate) struct Signing {
    name: String,
    secret: SigningKey,
}

/// Why a note, or a key, is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNote {
    #[error("is no signed note")]
    Shape,
    #[error("is no public key of notes")]
    Key,
    #[error("is signed by nobody whose key was given")]
    Unknown,
    #[error("is not what was signed")]
    Forged,
}

impl Signing {
    pub(crate) fn new(name: String, seed: [u8; 32]) -> Self {
        Self { name, secret: SigningKey::from_bytes(&seed) }
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey { name: self.name.clone(), key: self.secret.verifying_key() }
    }

    /// The text, which ends with a line's end, as a note.
    pub(crate) fn sign(&self, text: &str) -> String {
        let signature = self.secret.sign(text.as_bytes()).to_bytes();
        let signature = STANDARD.encode([self.public().id().as_slice(), &signature].concat());
        format!("{text}\n— {} {signature}\n", self.name)
    }
}

impl PublicKey {
    fn id(&self) -> [u8; 4] {
        let named = Sha256::new_with_prefix(format!("{}\n", self.name)).chain_update([ALGORITHM]);
        let id: [u8; 32] = named.chain_update(self.key.as_bytes()).finalize().into();
        [id[0], id[1], id[2], id[3]]
    }

    fn verify(&self, text: &str, signature: &[u8]) -> bool {
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        self.key.verify_strict(text.as_bytes(), &signature).is_ok()
    }
}

/// The text of a note that somebody vouches for whose key is known.
///
/// # Errors
/// When it is no note, or nobody of them does, or one of them did for another text.
pub(crate) fn open<'a>(note: &'a str, keys: &[PublicKey]) -> Result<(&'a str, PublicKey), InvalidNote> {
    let (text, signatures) = note.split_once("\n\n").ok_or(InvalidNote::Shape)?;
    let text = &note[..=text.len()];
    let mut vouches = Err(InvalidNote::Unknown);
    for line in signatures.strip_suffix('\n').ok_or(InvalidNote::Shape)?.split('\n') {
        let (name, signature) =
            line.strip_prefix("— ").and_then(|line| line.split_once(' ')).ok_or(InvalidNote::Shape)?;
        let signature = STANDARD.decode(signature).map_err(|_| InvalidNote::Shape)?;
        let (id, signature) = signature.split_first_chunk().ok_or(InvalidNote::Shape)?;
        let Some(key) = keys.iter().find(|key| key.name == name && key.id() == *id) else { continue };
        if !key.verify(text, signature) {
            return Err(InvalidNote::Forged);
        }
        vouches = Ok((text, key.clone()));
    }
    vouches
}

impl fmt::Display for PublicKey {
    /// The specification's form of a verifier key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id());
        let key = STANDARD.encode([[ALGORITHM].as_slice(), self.key.as_bytes()].concat());
        write!(f, "{}+{id:08x}+{key}", self.name)
    }
}

impl FromStr for PublicKey {
    type Err = InvalidNote;

    fn from_str(text: &str) -> Result<Self, InvalidNote> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(InvalidNote::Key);
        };
        let key = STANDARD.decode(key).map_err(|_| InvalidNote::Key)?;
        let (&[ALGORITHM], key) = key.split_first_chunk().ok_or(InvalidNote::Key)? else {
            return Err(InvalidNote::Key);
        };
        let key = key.try_into().ok().and_then(|key| VerifyingKey::from_bytes(&key).ok()).ok_or(InvalidNote::Key)?;
        let parsed = Self { name: name.to_owned(), key };
        if parsed.to_string() == text { Ok(parsed) } else { Err(InvalidNote::Key) }
    }
}

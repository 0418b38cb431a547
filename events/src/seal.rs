//! Sealing of texts: XChaCha20-Poly1305 under a key of the author's. The nonce
//! is the fact's id and the text's place in it, so nothing is stored beside the
//! text; the aggregate is authenticated, so a text cannot be moved to another.

use crate::{Aggregate, EventId};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use chacha20poly1305::{
    Key, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, AeadInOut, Payload},
};
use std::fmt;
use uuid::Uuid;

/// The secret whose destruction erases all that its owner wrote.
#[derive(Clone)]
pub struct AuthorKey(XChaCha20Poly1305);

impl AuthorKey {
    pub const BYTES: usize = 32;

    pub fn new(secret: &[u8; Self::BYTES]) -> Self {
        Self(XChaCha20Poly1305::new(&Key::from(*secret)))
    }

    pub(crate) fn seal(&self, id: EventId, index: usize, aggregate: Aggregate, plain: &str) -> String {
        self.seal_bytes(&nonce(id, index), aggregate.to_string().as_bytes(), plain)
    }

    /// The text; `None` where the seal is broken.
    pub(crate) fn unseal(&self, id: EventId, index: usize, aggregate: Aggregate, sealed: &str) -> Option<String> {
        self.open_bytes(&nonce(id, index), aggregate.to_string().as_bytes(), sealed)
    }

    /// Seals a text that a record holds outside the log. The record's id and the text's place in it
    /// are the nonce: no other text may ever be sealed with both.
    pub fn seal_record(&self, record: Uuid, index: u64, plain: &str) -> String {
        self.seal_bytes(&unique(record, index), b"record", plain)
    }

    /// Opens what [`AuthorKey::seal_record`] sealed; `None` where the seal is broken.
    pub fn open_record(&self, record: Uuid, index: u64, sealed: &str) -> Option<String> {
        self.open_bytes(&unique(record, index), b"record", sealed)
    }

    /// Seals a part of a file's bytes, in place. A file's id is minted once, and each part has its own index.
    pub(crate) fn seal_part(&self, file: Uuid, index: u32, bytes: &mut Vec<u8>) {
        let sealed = self.0.encrypt_in_place(&unique(file, index.into()), b"part", bytes);
        sealed.expect("a part is far shorter than the cipher's limit");
    }

    /// Opens in place what [`AuthorKey::seal_part`] sealed; false where the seal is broken.
    pub(crate) fn open_part(&self, file: Uuid, index: u32, bytes: &mut Vec<u8>) -> bool {
        self.0.decrypt_in_place(&unique(file, index.into()), b"part", bytes).is_ok()
    }

    fn seal_bytes(&self, nonce: &XNonce, aad: &[u8], plain: &str) -> String {
        let payload = Payload { msg: plain.as_bytes(), aad };
        let sealed = self.0.encrypt(nonce, payload).expect("a text is far shorter than the cipher's limit");
        STANDARD_NO_PAD.encode(sealed)
    }

    fn open_bytes(&self, nonce: &XNonce, aad: &[u8], sealed: &str) -> Option<String> {
        let sealed = STANDARD_NO_PAD.decode(sealed).ok()?;
        let plain = self.0.decrypt(nonce, Payload { msg: &sealed, aad }).ok()?;
        String::from_utf8(plain).ok()
    }
}

impl fmt::Debug for AuthorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorKey(..)")
    }
}

fn nonce(id: EventId, index: usize) -> XNonce {
    unique(id.uuid(), u64::try_from(index).expect("a fact has few texts"))
}

/// The ids of facts and of records come from one source that mints each once.
fn unique(id: Uuid, index: u64) -> XNonce {
    let mut nonce = [0; 24];
    nonce[..16].copy_from_slice(id.as_bytes());
    nonce[16..].copy_from_slice(&index.to_be_bytes());
    XNonce::from(nonce)
}

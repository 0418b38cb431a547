//! Access tokens: EdDSA JWTs of five minutes (RFC 7519, RFC 9068's `at+jwt`).
//! Time is read from the clock that is passed in, so skew can be tested.

use super::{
    InvalidToken,
    signing::{Key, Keys},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use events::{SessionId, Timestamp, UserId, clock::millis};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, PoisonError, RwLock};

pub(super) const LIFETIME: TimeDelta = TimeDelta::minutes(5);
/// How far the clocks of two nodes may be apart.
pub(super) const LEEWAY: TimeDelta = TimeDelta::seconds(5);
const ISSUER: &str = "herald";
const AUDIENCE: &str = "herald";
const TYPE: &str = "at+jwt";

/// What a signed-in client holds.
#[derive(Clone)]
pub struct Tokens {
    pub user_id: UserId,
    pub session_id: SessionId,
    pub access_token: String,
    /// Seconds.
    pub expires_in: u32,
    pub refresh_token: String,
}

/// Who an access token says its bearer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub user_id: UserId,
    pub session_id: SessionId,
    pub expires_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    iat: i64,
    exp: i64,
}

/// Issues and verifies, with the keys that this node has read last.
pub(super) struct Issuer {
    keys: RwLock<Arc<Keys>>,
    validation: Validation,
}

impl Issuer {
    pub(super) fn new(keys: Keys) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        validation.validate_exp = false;
        Self { keys: RwLock::new(Arc::new(keys)), validation }
    }

    /// Goes on with the keys as they are now.
    pub(super) fn take(&self, keys: Keys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    pub(super) fn issue(
        &self,
        user_id: UserId,
        session_id: SessionId,
        refresh_token: String,
        now: Timestamp,
    ) -> Tokens {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user_id,
            sid: session_id,
            iat: now.timestamp(),
            exp: (now + LIFETIME).timestamp(),
        };
        let keys = self.keys();
        let key = keys.signer(now);
        let private = key.secret.to_pkcs8_der().expect("an Ed25519 key has a PKCS #8 form");
        let header = Header { typ: Some(TYPE.to_owned()), kid: Some(key.id.clone()), ..Header::new(Algorithm::EdDSA) };
        let access_token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(private.as_bytes()))
            .expect("claims are plain data");
        let expires_in = u32::try_from(LIFETIME.num_seconds()).expect("five minutes");
        Tokens { user_id, session_id, access_token, expires_in, refresh_token }
    }

    pub(super) fn verify(&self, access_token: &str, now: Timestamp) -> Result<Identity, InvalidToken> {
        let header = jsonwebtoken::decode_header(access_token).map_err(|_| InvalidToken::Malformed)?;
        if header.typ.as_deref() != Some(TYPE) {
            return Err(InvalidToken::Malformed);
        }
        let keys = self.keys();
        let key = keys.published(now).find(|key| header.kid.as_ref() == Some(&key.id));
        let public = key.ok_or(InvalidToken::Malformed)?.secret.verifying_key();
        let key = DecodingKey::from_ed_der(public.as_bytes());
        let token = jsonwebtoken::decode::<Claims>(access_token, &key, &self.validation)
            .map_err(|_| InvalidToken::Malformed)?;
        let Claims { sub, sid, iat, exp, .. } = token.claims;
        let expires_at = millis(exp.saturating_mul(1_000));
        let issued_at = millis(iat.saturating_mul(1_000));
        if now >= expires_at + LEEWAY || now < issued_at - LEEWAY {
            return Err(InvalidToken::Expired);
        }
        Ok(Identity { user_id: sub, session_id: sid, expires_at })
    }

    pub(super) fn jwks(&self, now: Timestamp) -> serde_json::Value {
        let jwk = |key: &Key| {
            serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
                "kid": key.id, "x": URL_SAFE_NO_PAD.encode(key.secret.verifying_key().as_bytes()),
            })
        };
        serde_json::json!({ "keys": self.keys().published(now).map(jwk).collect::<Vec<_>>() })
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("session_id", &self.session_id).finish_non_exhaustive()
    }
}

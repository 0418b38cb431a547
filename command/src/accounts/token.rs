//! Access tokens: EdDSA JWTs of five minutes (RFC 7519, RFC 9068's `at+jwt`).
//! Time is read from the clock that is passed in, so skew can be tested.

use super::{InvalidToken, signing::Secrets};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use events::{SessionId, Timestamp, UserId, clock::millis};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

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

pub(super) struct Issuer {
    header: Header,
    encoding_key: EncodingKey,
    decoding_key: DecodingKey,
    validation: Validation,
    public_key: String,
    key_id: String,
}

impl Issuer {
    pub(super) fn new(secrets: &Secrets) -> Self {
        let public = secrets.signing_key.verifying_key();
        let private = secrets.signing_key.to_pkcs8_der().expect("an Ed25519 key has a PKCS #8 form");
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        validation.validate_exp = false;
        let header =
            Header { typ: Some(TYPE.to_owned()), kid: Some(secrets.key_id.clone()), ..Header::new(Algorithm::EdDSA) };
        Self {
            header,
            encoding_key: EncodingKey::from_ed_der(private.as_bytes()),
            decoding_key: DecodingKey::from_ed_der(public.as_bytes()),
            validation,
            public_key: URL_SAFE_NO_PAD.encode(public.as_bytes()),
            key_id: secrets.key_id.clone(),
        }
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
        let access_token =
            jsonwebtoken::encode(&self.header, &claims, &self.encoding_key).expect("claims are plain data");
        let expires_in = u32::try_from(LIFETIME.num_seconds()).expect("five minutes");
        Tokens { user_id, session_id, access_token, expires_in, refresh_token }
    }

    pub(super) fn verify(&self, access_token: &str, now: Timestamp) -> Result<Identity, InvalidToken> {
        let token = jsonwebtoken::decode::<Claims>(access_token, &self.decoding_key, &self.validation)
            .map_err(|_| InvalidToken::Malformed)?;
        if token.header.typ.as_deref() != Some(TYPE) || token.header.kid.as_deref() != Some(&self.key_id) {
            return Err(InvalidToken::Malformed);
        }
        let Claims { sub, sid, iat, exp, .. } = token.claims;
        let expires_at = millis(exp.saturating_mul(1_000));
        let issued_at = millis(iat.saturating_mul(1_000));
        if now >= expires_at + LEEWAY || now < issued_at - LEEWAY {
            return Err(InvalidToken::Expired);
        }
        Ok(Identity { user_id: sub, session_id: sid, expires_at })
    }

    pub(super) fn jwks(&self) -> serde_json::Value {
        serde_json::json!({ "keys": [{
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
            "kid": self.key_id, "x": self.public_key,
        }] })
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("session_id", &self.session_id).finish_non_exhaustive()
    }
}

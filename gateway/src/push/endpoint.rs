//! Where pushes go and what they are signed with, parsed once. No other address
//! is ever called: nothing that a person writes, nor an answer, names one.

use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::Uri;
use std::{fmt, net::IpAddr, str::FromStr};

/// What a secret's text begins with (Standard Webhooks, "Signature scheme").
const PREFIX: &str = "whsec_";
/// Bytes of a secret: the least that nobody guesses, and the most that is of use.
const LEAST: usize = 24;
const MOST: usize = 64;

/// An address that takes pushes: `https`, or `http` on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Uri);

/// What pushes are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// Why a text is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    #[error("is not a URL with a scheme and a host, as https://push.example/herald")]
    NotAUrl,
    #[error("must be https, or http to this machine (localhost, 127.0.0.1 or [::1])")]
    NotSafe,
    #[error("must not hold a user or password: pushes are known by their signature")]
    Credentials,
}

/// Why a text is no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be `{PREFIX}` and then the base64 of {LEAST} to {MOST} random bytes")]
pub struct InvalidSecret;

impl Endpoint {
    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let uri: Uri = text.parse().map_err(|_| InvalidEndpoint::NotAUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(InvalidEndpoint::NotAUrl);
        };
        if authority.as_str().contains('@') {
            return Err(InvalidEndpoint::Credentials);
        }
        match scheme {
            "https" => Ok(Self(uri)),
            "http" if is_here(authority.host()) => Ok(Self(uri)),
            _ => Err(InvalidEndpoint::NotSafe),
        }
    }
}

impl fmt::Display for Endpoint {
    /// Tells the host only: what follows it may be known to nobody else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        write!(f, "{}://{authority}", self.0.scheme_str().unwrap_or_default())
    }
}

fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl Secret {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| InvalidSecret)?;
        if (LEAST..=MOST).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(InvalidSecret) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_leave_this_machine_encrypted_or_not_at_all() {
        for text in ["https://push.example/herald", "http://127.0.0.1:9/x?y=1", "http://[::1]:9", "http://localhost/"] {
            assert!(text.parse::<Endpoint>().is_ok(), "{text}");
        }
        for (text, why) in [
            ("http://push.example", InvalidEndpoint::NotSafe),
            ("http://10.0.0.1/", InvalidEndpoint::NotSafe),
            ("http://127.0.0.1.evil.example/", InvalidEndpoint::NotSafe),
            ("ftp://127.0.0.1/", InvalidEndpoint::NotSafe),
            ("https://a:b@push.example", InvalidEndpoint::Credentials),
            ("push.example", InvalidEndpoint::NotAUrl),
            ("/push", InvalidEndpoint::NotAUrl),
            ("", InvalidEndpoint::NotAUrl),
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(why), "{text}");
        }
    }

    #[test]
    fn a_secret_is_long_enough_and_never_shown() {
        let of = |length: usize| format!("{PREFIX}{}", BASE64_STANDARD.encode(vec![7; length])).parse::<Secret>();
        assert_eq!(format!("{:?}", of(24).unwrap()), "Secret(..)");
        assert!(of(64).is_ok());
        assert!(
            [of(23), of(65), "whsec_?".parse(), BASE64_STANDARD.encode([7; 32]).parse()].iter().all(Result::is_err)
        );
    }
}

//! Usernames: what may be one, and when two are the same to the eye.
//! PRECIS UsernameCaseMapped (RFC 8265), restriction level and skeleton of UTS #39.

use crate::Text;
use precis_profiles::{UsernameCaseMapped, precis_core::profile::Profile};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use unicode_security::{RestrictionLevel, RestrictionLevelDetection, confusable_detection::skeleton};

/// A username in its canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

/// Why a text is no username.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUsername {
    #[error("must have 3 to 32 characters")]
    Length,
    #[error("contains a character that usernames may not have")]
    Character,
    #[error("mixes scripts in a way that can deceive")]
    MixedScripts,
    #[error("is reserved")]
    Reserved,
}

const CHARACTERS: std::ops::RangeInclusive<usize> = 3..=32;

const RESERVED: &[&str] = &[
    "abuse",
    "admin",
    "administrator",
    "deleted",
    "everyone",
    "help",
    "herald",
    "here",
    "hostmaster",
    "info",
    "moderator",
    "null",
    "official",
    "postmaster",
    "root",
    "security",
    "staff",
    "support",
    "system",
    "undefined",
    "webmaster",
];

impl Username {
    /// Brings a text into canonical form: width- and case-folded, composed.
    ///
    /// # Errors
    /// When it is too short or long, reserved, or could pass for another.
    pub fn parse(text: &str) -> Result<Self, InvalidUsername> {
        // Bounds the work before any Unicode table is asked: 32 characters of at most 4 bytes, decomposed.
        if text.len() > 512 {
            return Err(InvalidUsername::Length);
        }
        let name = UsernameCaseMapped::new().enforce(text).map_err(|_| InvalidUsername::Character)?;
        if !CHARACTERS.contains(&name.chars().count()) {
            return Err(InvalidUsername::Length);
        }
        if name.as_ref().detect_restriction_level() > RestrictionLevel::HighlyRestrictive {
            return Err(InvalidUsername::MixedScripts);
        }
        let name = Self(name.into_owned());
        if RESERVED.iter().any(|word| skeleton(word).eq(skeleton(&name.0))) {
            return Err(InvalidUsername::Reserved);
        }
        Ok(name)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key under which the name is claimed: equal for names that look alike. Hexadecimal, 64 digits.
    pub fn claim(&self) -> String {
        let skeleton: String = skeleton(&self.0).collect();
        Sha256::digest(skeleton.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a String does not fail");
            hex
        })
    }
}

impl From<&Username> for Text {
    fn from(name: &Username) -> Self {
        Self::new(&name.0)
    }
}

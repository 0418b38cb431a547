//! One emoji sequence, as people react with it.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An emoji in its fully-qualified form (UTS #51). What the log holds is taken as it is, whatever today's tables say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Emoji(Box<str>);

/// Why a text is no emoji.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not one emoji")]
pub struct InvalidEmoji;

impl Emoji {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Emoji {
    type Err = InvalidEmoji;

    fn from_str(text: &str) -> Result<Self, InvalidEmoji> {
        emojis::get(text).map(|emoji| Self(emoji.as_str().into())).ok_or(InvalidEmoji)
    }
}

impl fmt::Display for Emoji {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

//! What a person writes or is called. In memory it is readable or erased; in
//! the log it is sealed with its author's key. A sealed text never leaves this
//! crate, a readable one is never stored: serializing it fails.

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::Error as _};
use std::{fmt, sync::Arc};
use unicode_normalization::UnicodeNormalization;

/// A text of somebody's, or the gap that its erasure left.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Repr);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Repr {
    Plain(Arc<str>),
    Sealed(String),
    Erased,
}

impl Text {
    pub fn new(plain: &str) -> Self {
        Self(Repr::Plain(plain.into()))
    }

    pub const ERASED: Self = Self(Repr::Erased);

    /// The text; `None` once its author was erased.
    pub fn as_str(&self) -> Option<&str> {
        match &self.0 {
            Repr::Plain(plain) => Some(plain),
            Repr::Sealed(_) | Repr::Erased => None,
        }
    }

    pub(crate) fn repr(&self) -> &Repr {
        &self.0
    }

    pub(crate) fn sealed(sealed: String) -> Self {
        Self(Repr::Sealed(sealed))
    }
}

impl fmt::Debug for Text {
    /// Tells the state and never the text: logs must not carry what people write.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Repr::Plain(_) => "Text(..)",
            Repr::Sealed(_) => "Text(sealed)",
            Repr::Erased => "Text(erased)",
        })
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Repr::Sealed(sealed) => serializer.serialize_str(sealed),
            Repr::Plain(_) | Repr::Erased => Err(S::Error::custom("only sealed text is stored")),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::sealed)
    }
}

/// Why a text is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    #[error("is empty")]
    Empty,
    #[error("is longer than {0} bytes")]
    TooManyBytes(usize),
    #[error("is longer than {0} characters")]
    TooManyCharacters(usize),
    #[error("contains a control character")]
    ControlCharacter,
}

/// A message's text: 1–32,768 bytes after NFC, no control characters but newline and tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body(String);

impl Body {
    pub const MAX_BYTES: usize = 32_768;

    /// No text, for a message that is its attachments.
    pub const NONE: Self = Self(String::new());

    /// # Errors
    /// When the text is empty, too long, or holds a control character.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        // ASCII is composed as it is.
        let text: String = if text.is_ascii() { text.to_owned() } else { text.nfc().collect() };
        if text.is_empty() {
            return Err(InvalidText::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidText::TooManyBytes(Self::MAX_BYTES));
        }
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(InvalidText::ControlCharacter);
        }
        Ok(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A line: a display name, a title or a device, of at most 64 characters after NFC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(String);

impl Line {
    pub const MAX_CHARACTERS: usize = 64;

    /// Parses a line that says something.
    ///
    /// # Errors
    /// When it is blank, too long, or holds a control character.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = composed(text, Self::MAX_CHARACTERS)?;
        if text.is_empty() {
            return Err(InvalidText::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidText::ControlCharacter);
        }
        Ok(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a file is called: 1–128 characters after NFC, no path, and nothing that hides how it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileName(String);

impl FileName {
    pub const MAX_CHARACTERS: usize = 128;

    /// Parses a file's name; of a path, its last part.
    ///
    /// # Errors
    /// When it is empty or points elsewhere, is too long, or holds a control character or one that turns the writing's
    /// direction.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
        let name = composed(last, Self::MAX_CHARACTERS)?;
        if name.chars().all(|c| c == '.') {
            return Err(InvalidText::Empty);
        }
        // UAX #9: "gpj.exe" could be read as "exe.jpg".
        let turns =
            |c| matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        if name.chars().any(|c| c.is_control() || turns(c)) {
            return Err(InvalidText::ControlCharacter);
        }
        Ok(Self(name))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What somebody says of themselves: at most 256 characters after NFC, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About(String);

impl About {
    pub const MAX_CHARACTERS: usize = 256;

    /// # Errors
    /// When the text is too long, or holds a control character other than newline.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = composed(text, Self::MAX_CHARACTERS)?;
        if text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(InvalidText::ControlCharacter);
        }
        Ok(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Body> for Text {
    fn from(body: &Body) -> Self {
        Self::new(&body.0)
    }
}

impl From<&FileName> for Text {
    fn from(name: &FileName) -> Self {
        Self::new(&name.0)
    }
}

impl From<&About> for Text {
    fn from(about: &About) -> Self {
        Self::new(&about.0)
    }
}

impl From<&Line> for Text {
    fn from(line: &Line) -> Self {
        Self::new(&line.0)
    }
}

/// Trims and composes a text. One character is composed of four at the most (UAX #15): what is longer is not looked at.
fn composed(text: &str, max: usize) -> Result<String, InvalidText> {
    let too_long = InvalidText::TooManyCharacters(max);
    if text.chars().nth(4 * max).is_some() {
        return Err(too_long);
    }
    let text: String = text.trim().nfc().collect();
    if text.chars().count() > max { Err(too_long) } else { Ok(text) }
}

//! One event as one line of JSON that no terminal takes for a command: what
//! controls one, or turns the direction of writing, is escaped.

use events::{CloudEvent, Vector};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};
use std::io::{self, Write};

/// An event, and all that was read by then.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    #[serde(flatten)]
    pub(super) event: &'a CloudEvent,
    pub(super) vector: &'a Vector,
}

impl Line<'_> {
    pub(super) fn write(&self, to: &mut Vec<u8>) -> serde_json::Result<()> {
        write(self, to)?;
        to.push(b'\n');
        Ok(())
    }
}

fn write(value: &impl Serialize, to: &mut Vec<u8>) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(to, Printable(CompactFormatter)))
}

struct Printable(CompactFormatter);

impl Formatter for Printable {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_dangerous) {
            let (before, after) = rest.split_at(at);
            self.0.write_string_fragment(writer, before)?;
            let mut letters = after.chars();
            for unit in letters.next().into_iter().flat_map(|letter| letter.encode_utf16(&mut [0; 2]).to_vec()) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = letters.as_str();
        }
        self.0.write_string_fragment(writer, rest)
    }
}

/// JSON itself escapes no more than ASCII below the space.
fn is_dangerous(letter: char) -> bool {
    let turns =
        matches!(letter, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let breaks = matches!(letter, '\u{2028}' | '\u{2029}');
    let hides = matches!(letter, '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}');
    letter.is_control() || turns || breaks || hides
}

#[cfg(test)]
mod tests {
    use super::{is_dangerous, write};

    #[test]
    fn no_letter_controls_a_terminal_and_every_one_is_read_back() {
        for letter in '\0'..=char::MAX {
            let text = format!("a{letter}\u{1b}[31mb");
            let mut line = Vec::new();
            write(&text, &mut line).unwrap();
            let line = String::from_utf8(line).unwrap();
            assert!(!line.chars().any(is_dangerous), "{:x}", u32::from(letter));
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }

    #[test]
    fn other_letters_stay_as_they_are() {
        let mut line = Vec::new();
        write(&"Grüße 👋🏽 \"ä\"\n", &mut line).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), "\"Grüße 👋🏽 \\\"ä\\\"\\n\"");
    }
}

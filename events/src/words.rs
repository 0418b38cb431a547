//! Words as search knows them. A text is folded: compatibility forms, case and
//! the marks of alphabets that are read without them are gone, and what is left
//! are runs, of letters and digits, or of a script that puts no spaces between
//! words. Stored folded, so what it makes of a text is part of a view's version.

use std::{collections::BTreeSet, iter::once};
use unicode_normalization::{
    UnicodeNormalization,
    char::{decompose_compatible, is_combining_mark},
};
use unicode_script::{Script, UnicodeScript};

/// A text as search compares it: runs with single spaces between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folded(String);

/// A stretch of a folded text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run<'a> {
    /// A word or number.
    Word(&'a str),
    /// Of a script that is written without spaces: words may begin and end anywhere in it.
    Unspaced(&'a str),
}

/// A character of a text, folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sign {
    /// Where it comes from: the byte in the text.
    pub at: usize,
    /// Decomposed; a space between two runs.
    pub folded: char,
}

/// Of a word that is longer, the first so many characters are its term.
pub const LONGEST_TERM: usize = 48;
/// A text is looked up by its first so many different terms: a message of 32 KiB must not become a MiB of index.
pub const MOST_TERMS: usize = 1_024;

impl Folded {
    pub fn of(text: &str) -> Self {
        Self(signs(text).map(|sign| sign.folded).nfc().collect())
    }

    /// What was folded before and stored.
    pub fn stored(folded: String) -> Self {
        Self(folded)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        self.0
            .split(' ')
            .filter(|run| !run.is_empty())
            .map(|run| if run.starts_with(is_unspaced) { Run::Unspaced(run) } else { Run::Word(run) })
    }

    /// What the text is looked up by, each once: its words, and of scripts without spaces each character with the one
    /// after it.
    pub fn terms(&self) -> BTreeSet<String> {
        let mut terms = BTreeSet::new();
        for term in self.runs().flat_map(Run::terms) {
            if terms.len() == MOST_TERMS {
                break;
            }
            terms.insert(term);
        }
        terms
    }
}

impl<'a> Run<'a> {
    pub fn as_str(self) -> &'a str {
        match self {
            Self::Word(run) | Self::Unspaced(run) => run,
        }
    }

    /// The last character of an unspaced run stands alone, or nobody would find it by itself.
    pub fn terms(self) -> Vec<String> {
        match self {
            Self::Word(word) => vec![term(word)],
            Self::Unspaced(run) => {
                let ends = run.char_indices().map(|(at, _)| at).skip(2).chain(once(run.len()));
                let pairs = run.char_indices().zip(ends).map(|((at, _), end)| run[at..end].to_owned());
                let last = run.chars().next_back().filter(|_| run.chars().nth(1).is_some());
                pairs.chain(last.map(String::from)).collect()
            }
        }
    }
}

/// A word as it is looked up.
pub fn term(word: &str) -> String {
    word.chars().take(LONGEST_TERM).collect()
}

/// The characters of a text, folded, each with its origin; spaces only between runs.
pub fn signs(text: &str) -> impl Iterator<Item = Sign> {
    let mut folding = Folding::default();
    text.char_indices().flat_map(move |(at, c)| {
        let mut signs = Vec::with_capacity(1);
        if c.is_ascii() {
            folding.next(c.to_ascii_lowercase(), at, &mut signs);
        } else {
            decompose_compatible(c, |part| folding.fold(part, at, &mut signs));
        }
        signs
    })
}

#[derive(Default)]
struct Folding {
    last: Option<Kind>,
    /// Something stood between the last run and what comes.
    apart: bool,
    /// The marks of the letter before are let go.
    bare: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Unspaced,
}

impl Folding {
    fn fold(&mut self, part: char, at: usize, signs: &mut Vec<Sign>) {
        if is_invisible(part) {
            return;
        }
        if let Some(plain) = without_stroke(part) {
            plain.chars().for_each(|c| self.next(c, at, signs));
            return;
        }
        // Through upper case, as full case folding goes: ß is ss, and a final sigma a sigma.
        for upper in part.to_uppercase() {
            for lower in upper.to_lowercase() {
                self.next(lower, at, signs);
            }
        }
    }

    fn next(&mut self, folded: char, at: usize, signs: &mut Vec<Sign>) {
        if is_combining_mark(folded) {
            // A mark belongs to what it stands on, and alone it is nothing.
            if self.last.is_some() && !self.apart && !self.bare {
                signs.push(Sign { at, folded });
            }
            return;
        }
        if !folded.is_alphanumeric() {
            self.apart = true;
            return;
        }
        let kind = if is_unspaced(folded) { Kind::Unspaced } else { Kind::Word };
        if self.last.is_some_and(|last| self.apart || last != kind) {
            signs.push(Sign { at, folded: ' ' });
        }
        (self.last, self.apart, self.bare) = (Some(kind), false, is_read_bare(folded));
        signs.push(Sign { at, folded });
    }
}

/// Whether a character is of a script that puts no spaces between words.
fn is_unspaced(c: char) -> bool {
    if c.is_ascii() {
        return false;
    }
    // The long-vowel mark belongs to both kana, and to neither script.
    c == 'ー'
        || matches!(
            c.script(),
            Script::Han
                | Script::Hiragana
                | Script::Katakana
                | Script::Bopomofo
                | Script::Yi
                | Script::Thai
                | Script::Lao
                | Script::Khmer
                | Script::Myanmar
                | Script::Tai_Le
                | Script::New_Tai_Lue
                | Script::Tai_Tham
                | Script::Tai_Viet
        )
}

/// Whether people look for a letter without the marks on it.
fn is_read_bare(c: char) -> bool {
    // Of Cyrillic, ё alone is commonly written without.
    c.is_ascii_alphabetic()
        || c == 'е'
        || matches!(c.script(), Script::Latin | Script::Greek | Script::Arabic | Script::Hebrew)
}

/// Letters whose stroke, or whose joining, is no mark in Unicode.
fn without_stroke(c: char) -> Option<&'static str> {
    Some(match c {
        'ø' | 'Ø' => "o",
        'ł' | 'Ł' => "l",
        'đ' | 'Đ' => "d",
        'ħ' | 'Ħ' => "h",
        'ŧ' | 'Ŧ' => "t",
        'æ' | 'Æ' => "ae",
        'œ' | 'Œ' => "oe",
        _ => return None,
    })
}

/// What stands inside words and is not seen: joiners, soft hyphens, directions, the Arabic stretch.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{640}'
            | '\u{200c}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{2069}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{e0100}'..='\u{e01ef}'
    )
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;

//! What somebody searches for, as they word it: words, "phrases", the beginning
//! of a last word, and `from:` `before:` `after:`. All of it has to be so of a
//! message. Pure.

use events::{
    Timestamp,
    clock::millis,
    words::{Folded, LONGEST_TERM, Run, term},
};
use std::collections::BTreeSet;

/// A wording, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    clauses: Vec<Clause>,
    /// The username, as typed.
    pub from: Option<String>,
    /// No message from before it.
    pub since: Option<Timestamp>,
    /// No message from then on.
    pub until: Option<Timestamp>,
}

/// Why a text is no wording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWording {
    #[error("is longer than {MOST_BYTES} bytes")]
    TooLong,
    #[error("has more than {MOST_CLAUSES} words and phrases")]
    TooMany,
    #[error("has no word to look for")]
    NoWord,
    #[error("says {0}: twice")]
    Twice(&'static str),
    #[error("says {0}: and not what")]
    Nothing(&'static str),
    #[error("says {0}: and no date as 2026-01-31")]
    NoDate(&'static str),
}

/// Runs that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    folded: Folded,
    /// The last run may go on.
    is_open: bool,
}

/// Terms from the first to the last, in the order of their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) first: String,
    pub(crate) last: String,
}

const MOST_BYTES: usize = 1_024;
const MOST_CLAUSES: usize = 16;
const DAY: i64 = 86_400_000;
const QUOTES: [char; 6] = ['"', '“', '”', '„', '«', '»'];

impl Wording {
    /// # Errors
    /// When it has no word, is too much, or an operator makes no sense.
    pub fn parse(text: &str) -> Result<Self, InvalidWording> {
        if text.len() > MOST_BYTES {
            return Err(InvalidWording::TooLong);
        }
        let mut wording = Self { clauses: Vec::new(), from: None, since: None, until: None };
        let mut last_word = None;
        // Every other piece stands in quotes; what is not closed is quoted to the end.
        for (index, piece) in text.split(QUOTES).enumerate() {
            if index % 2 == 1 {
                wording.add(piece)?;
                continue;
            }
            for word in piece.split_whitespace() {
                if !wording.operate(word)? && wording.add(word)? {
                    last_word = Some(wording.clauses.len() - 1);
                }
            }
        }
        if let Some(last) = last_word {
            wording.clauses[last].is_open = true;
        }
        if wording.clauses.is_empty() { Err(InvalidWording::NoWord) } else { Ok(wording) }
    }

    /// The terms by which messages are looked up, of those that all must have: the longest word is the rarest, most
    /// likely, and what may go on the most frequent.
    pub(crate) fn terms(&self) -> Terms {
        let longest = self.clauses.iter().flat_map(Clause::exact).max_by_key(|term| term.chars().count());
        longest.map_or_else(|| self.clauses[0].beginning(), |term| Terms { last: term.clone(), first: term })
    }

    /// Terms besides those that a thread must have somewhere, or nothing in it can be meant.
    pub(crate) fn others(&self, looked_up: &Terms) -> Vec<String> {
        let exact: BTreeSet<String> = self.clauses.iter().flat_map(Clause::exact).collect();
        exact.into_iter().filter(|term| *term != looked_up.last).collect()
    }

    /// Patterns, as of SQL's LIKE, of a folded text with a space before and after it. A folded text has no wild cards.
    pub(crate) fn patterns(&self) -> Vec<String> {
        self.clauses.iter().map(Clause::pattern).collect()
    }

    /// Whether to have one of the [`Wording::terms`] is all that is wanted.
    pub(crate) fn is_one_term(&self) -> bool {
        let [Clause { folded, .. }] = self.clauses.as_slice() else { return false };
        let mut runs = folded.runs();
        let (first, more) = (runs.next(), runs.next());
        more.is_none()
            && match first {
                Some(Run::Word(word)) => word.chars().count() < LONGEST_TERM,
                Some(Run::Unspaced(run)) => run.chars().count() <= 2,
                None => false,
            }
    }

    /// The first runs of all that is looked for.
    pub(crate) fn beginnings(&self) -> impl Iterator<Item = Run<'_>> {
        self.clauses.iter().filter_map(|clause| clause.folded.runs().next())
    }

    /// Adds words that follow each other; whether there were any.
    fn add(&mut self, text: &str) -> Result<bool, InvalidWording> {
        let folded = Folded::of(text);
        if folded.as_str().is_empty() {
            return Ok(false);
        }
        if self.clauses.len() == MOST_CLAUSES {
            return Err(InvalidWording::TooMany);
        }
        self.clauses.push(Clause { folded, is_open: false });
        Ok(true)
    }

    /// Takes an operator; whether it was one.
    fn operate(&mut self, word: &str) -> Result<bool, InvalidWording> {
        let Some((name, value)) = word.split_once(':') else { return Ok(false) };
        match name.to_ascii_lowercase().as_str() {
            "from" if value.is_empty() => return Err(InvalidWording::Nothing("from")),
            "from" => once(&mut self.from, "from", value.strip_prefix('@').unwrap_or(value).to_owned())?,
            "before" => once(&mut self.until, "before", day("before", value)?)?,
            "after" => once(&mut self.since, "after", millis(day("after", value)?.timestamp_millis() + DAY))?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Clause {
    /// The terms that are told whole.
    fn exact(&self) -> Vec<String> {
        let runs: Vec<Run> = self.folded.runs().collect();
        let mut exact = Vec::new();
        for (index, run) in runs.iter().enumerate() {
            match run {
                Run::Word(_) if self.is_open && index + 1 == runs.len() => {}
                Run::Word(word) => exact.push(term(word)),
                Run::Unspaced(run) => exact.extend(pairs(run)),
            }
        }
        exact
    }

    /// Terms that begin as the only run does.
    fn beginning(&self) -> Terms {
        let first = self.folded.runs().next().map(|run| term(run.as_str())).unwrap_or_default();
        let last = format!("{first}{}", char::MAX);
        Terms { first, last }
    }

    fn pattern(&self) -> String {
        let starts = match self.folded.runs().next() {
            Some(Run::Word(_)) => " ",
            Some(Run::Unspaced(_)) | None => "",
        };
        let ends = match self.folded.runs().last() {
            Some(Run::Word(_)) if !self.is_open => " ",
            Some(_) | None => "",
        };
        format!("%{starts}{}{ends}%", self.folded.as_str())
    }
}

/// Each character with the one after it.
fn pairs(run: &str) -> impl Iterator<Item = String> {
    run.chars().zip(run.chars().skip(1)).map(|(one, other)| [one, other].iter().collect())
}

fn once<T>(place: &mut Option<T>, name: &'static str, value: T) -> Result<(), InvalidWording> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(InvalidWording::Twice(name)),
    }
}

/// The beginning of a day, UTC.
fn day(name: &'static str, date: &str) -> Result<Timestamp, InvalidWording> {
    let is_date = date.len() == 10 && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let day = format!("{date}T00:00:00Z").parse().ok().filter(|_| is_date && !date.starts_with("0000"));
    day.ok_or(InvalidWording::NoDate(name))
}

#[cfg(test)]
#[path = "wording_tests.rs"]
mod tests;

//! A few words of a message around what was looked for. Plain text. Pure.

use super::wording::Wording;
use events::words::{Run, Sign, signs};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Characters by which a place is found: more would only cost time.
const NEEDLE: usize = 16;
/// Characters of a snippet, about.
const LENGTH: usize = 160;
/// Of which so many stand before what was found.
const BEFORE: usize = 40;
/// Characters that are given up for a cut between two words.
const SLACK: usize = 20;
const CUT: &str = "…";

/// The text itself where it is short.
pub(super) fn snippet(body: &str, wording: &Wording) -> String {
    let ends: Vec<usize> = body.char_indices().map(|(at, _)| at).chain([body.len()]).collect();
    let length = ends.len() - 1;
    if length <= LENGTH {
        return body.to_owned();
    }
    let found = place(body, wording);
    let found = ends.partition_point(|end| *end < found);
    let start = found.saturating_sub(BEFORE).min(length - LENGTH);
    let start = if start == 0 { 0 } else { later(body, &ends, start, found) };
    let end = (start + LENGTH).min(length);
    let end = if end == length { end } else { earlier(body, &ends, end, found) };
    let text = body[ends[start]..ends[end]].trim();
    format!("{}{text}{}", if start > 0 { CUT } else { "" }, if end < length { CUT } else { "" })
}

/// The byte where the first of what is looked for stands; 0 where none of it is found.
fn place(body: &str, wording: &Wording) -> usize {
    let signs: Vec<Sign> = signs(body).collect();
    let needles: Vec<(bool, Vec<char>)> = wording
        .beginnings()
        .map(|run| (matches!(run, Run::Word(_)), run.as_str().nfd().take(NEEDLE).collect()))
        .collect();
    let begins = |at: usize| at == 0 || signs[at - 1].folded == ' ';
    let is_here = |at: usize, (is_word, needle): &(bool, Vec<char>)| {
        (!is_word || begins(at))
            && signs[at..].len() >= needle.len()
            && signs[at..].iter().zip(needle).all(|(sign, wanted)| sign.folded == *wanted)
    };
    let found = (0..signs.len()).find(|at| needles.iter().any(|needle| is_here(*at, needle)));
    found.map_or(0, |at| signs[at].at)
}

/// A little later than there, where a word begins, but not beyond `most`.
fn later(body: &str, ends: &[usize], from: usize, most: usize) -> usize {
    let begins = |at: &usize| char_at(body, ends, *at - 1).is_some_and(char::is_whitespace);
    let word = (from..=(from + SLACK).min(most)).find(begins);
    word.unwrap_or_else(|| (from..=most).find(|at| stands(body, ends, *at)).unwrap_or(from))
}

/// A little earlier than there, where a word ends, but not before `least`.
fn earlier(body: &str, ends: &[usize], from: usize, least: usize) -> usize {
    let is_end = |at: &usize| char_at(body, ends, *at).is_some_and(char::is_whitespace);
    let word = (from.saturating_sub(SLACK).max(least)..=from).rev().find(is_end);
    word.unwrap_or_else(|| (least..=from).rev().find(|at| stands(body, ends, *at)).unwrap_or(from))
}

/// Whether no mark of the character before begins here.
fn stands(body: &str, ends: &[usize], at: usize) -> bool {
    char_at(body, ends, at).is_none_or(|c| !is_combining_mark(c) && c != '\u{200d}' && c != '\u{fe0f}')
}

fn char_at(body: &str, ends: &[usize], at: usize) -> Option<char> {
    body[ends[at]..].chars().next()
}

#[cfg(test)]
#[path = "snippet_tests.rs"]
mod tests;

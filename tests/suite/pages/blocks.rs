//! The one reader of the fenced blocks of a page: each with its language, and
//! with what a comment right before it, which readers do not see, says of it. What
//! is done in a browser is such a comment alone.

use std::{fs, path::Path};

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The line on which it begins.
    pub line: usize,
    /// What stands after the fence.
    pub language: String,
    /// What the comment before it says; empty without one.
    pub note: String,
    pub text: String,
}

/// All blocks of a page of the repository, in their order.
pub fn blocks(page: &str) -> Vec<Block> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let mut lines = (1..).zip(text.lines());
    let (mut found, mut note) = (Vec::new(), "");
    while let Some((line, text)) = lines.next() {
        if let Some(language) = text.strip_prefix("```") {
            let inside = lines.by_ref().map(|(_, text)| text).take_while(|text| *text != "```");
            let text = inside.flat_map(|line| [line, "\n"]).collect();
            found.push(Block { line, language: language.to_owned(), note: note.to_owned(), text });
            note = "";
        } else if let Some(deed) = text.strip_prefix("<!-- browser ").and_then(|text| text.strip_suffix(" -->")) {
            let (language, text) = ("browser".to_owned(), deed.to_owned());
            found.push(Block { line, language, note: String::new(), text });
        } else if !text.is_empty() {
            note = text.strip_prefix("<!-- ").and_then(|text| text.strip_suffix(" -->")).unwrap_or_default();
        }
    }
    found
}

/// The texts of a page's blocks in a language.
pub fn of(page: &str, language: &str) -> Vec<String> {
    blocks(page).into_iter().filter(|block| block.language == language).map(|block| block.text).collect()
}

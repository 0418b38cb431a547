//! The workspace's Rust files, line by line, each line knowing whether it is a test's.

use super::package::packages;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

pub(super) struct Source {
    /// Below the workspace's root.
    pub(super) path: String,
    pub(super) lines: Vec<Line>,
    pub(super) is_test: bool,
}

pub(super) struct Line {
    pub(super) number: usize,
    pub(super) text: String,
    pub(super) in_test: bool,
}

impl Source {
    pub(super) fn place(&self, line: &Line, what: &str) -> String {
        format!("{}:{}: {what}", self.path, line.number)
    }

    /// The attribute that a line belongs to, on one line.
    pub(super) fn attribute_around(&self, index: usize) -> String {
        let opens = |line: &Line| line.text.trim_start().starts_with('#');
        let first = (0..=index).rev().find(|at| opens(&self.lines[*at])).unwrap_or(index);
        let length = self.lines[first..].iter().position(|line| line.code().trim_end().ends_with(']'));
        let lines = &self.lines[first..=first + length.unwrap_or(index - first)];
        lines.iter().map(|line| line.text.trim()).collect::<Vec<_>>().join(" ")
    }
}

impl Line {
    /// The line without its comment.
    pub(super) fn code(&self) -> &str {
        let mut in_text = false;
        let mut before = ' ';
        for (at, c) in self.text.char_indices() {
            match c {
                '"' if before != '\\' && before != '\'' => in_text = !in_text,
                '/' if before == '/' && !in_text => return &self.text[..at - 1],
                _ => {}
            }
            before = c;
        }
        &self.text
    }
}

/// All Rust files of the workspace's packages, tests marked.
pub(super) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for package in packages() {
        let folder = root.join(package.manifest).parent().unwrap().to_owned();
        for part in ["src", "tests", "benches", "examples", "build.rs"] {
            collect(&folder.join(part), &mut files);
        }
    }
    let mut sources: Vec<Source> =
        files.iter().filter(|path| !path.ends_with("tests/suite/tidy.rs")).map(|path| read(path)).collect();
    let tests: BTreeSet<String> = sources.iter_mut().flat_map(mark_tests).collect();
    for source in &mut sources {
        source.is_test = source.path.split('/').any(|part| part == "tests") || tests.contains(&source.path);
        let is_test = source.is_test;
        source.lines.iter_mut().for_each(|line| line.in_test |= is_test);
    }
    sources
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let mut entries: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for entry in entries {
            collect(&entry, files);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") && path.is_file() {
        files.push(path.to_owned());
    }
}

fn read(path: &Path) -> Source {
    let text = fs::read_to_string(path).unwrap();
    let line = |(index, text): (usize, &str)| Line { number: index + 1, text: text.to_owned(), in_test: false };
    let below = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
    Source {
        path: below.to_str().unwrap().to_owned(),
        lines: text.lines().enumerate().map(line).collect(),
        is_test: false,
    }
}

/// Marks the items under `#[cfg(test)]`, and tells where those of them lie that are files of their own.
fn mark_tests(source: &mut Source) -> Vec<String> {
    let mut files = Vec::new();
    let mut from = 0;
    while let Some(start) = source.lines[from..].iter().position(|line| line.text.trim() == "#[cfg(test)]") {
        let start = from + start;
        let depth = indent(&source.lines[start].text);
        // Formatted as it is, an item ends on the first line as deep as its attribute that closes something.
        let closes = |line: &Line| indent(&line.text) == depth && line.text.ends_with([';', '}']);
        let end = source.lines[start..].iter().position(closes).map_or(source.lines.len(), |length| start + length + 1);
        let item = &mut source.lines[start..end];
        for line in &mut *item {
            line.in_test = true;
        }
        let quoted = item.iter().find_map(|line| line.text.trim().strip_prefix("#[path = \"")?.strip_suffix("\"]"));
        let module = item.last().and_then(|line| line.text.trim().strip_prefix("mod ")?.strip_suffix(';'));
        files.extend(module.into_iter().flat_map(|module| files_of(Path::new(&source.path), quoted, module)));
        from = end;
    }
    files
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Where a module that is declared in a file may lie.
fn files_of(declared_in: &Path, quoted: Option<&str>, module: &str) -> Vec<String> {
    let folder = declared_in.parent().unwrap();
    let stem = declared_in.file_stem().unwrap();
    let own = if ["lib", "main", "mod"].iter().any(|root| stem == *root) { folder.into() } else { folder.join(stem) };
    let candidates = match quoted {
        Some(file) => vec![folder.join(file)],
        None => vec![own.join(format!("{module}.rs")), own.join(module).join("mod.rs")],
    };
    candidates.iter().map(|path| path.to_str().unwrap().to_owned()).collect()
}

/// Whether the text has the word itself and not as a part of a longer one.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    let joins = |a: Option<char>, b: Option<char>| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        a.is_some_and(is_part) && b.is_some_and(is_part)
    };
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !joins(before.chars().next_back(), word.chars().next())
            && !joins(word.chars().next_back(), after.chars().next())
    })
}

//! A page that is followed: its blocks are typed into terminals in their order,
//! and what it shows is waited for.

use super::blocks::{Block, blocks};
use crate::{packages, web};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// Where pages say that herald serves.
const ADDRESS: &str = "127.0.0.1:8080";
/// How pages start what is under test, from the sources.
const BUILT: &str = "cargo run --release";
/// The terminal of blocks that name none, and the one in which herald goes on running.
const FIRST: &str = "one";
const SERVER: &str = "server";

/// Terminals, and the folder that they are in.
pub struct Terminals {
    folder: PathBuf,
    address: String,
    steps: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Terminals {
    /// In an empty folder, with the built herald as the one that is found, serving at that address.
    pub async fn open(folder: &Path, address: &str, settings: &[(&str, &str)]) -> Self {
        fs::create_dir_all(folder).unwrap();
        let programs = crate::harness::program().parent().unwrap().display().to_string();
        let path = format!("{programs}:/usr/local/bin:/usr/bin:/bin");
        let mut child = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/terminals.py"))
            .current_dir(folder)
            .env("PATH", path)
            .env("PYTHONPATH", packages::python("pages").await)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("HERALD_URL", format!("http://{address}"))
            .env("HERALD_LISTEN", address)
            .env("HERALD_METRICS_LISTEN", "off")
            .envs(settings.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (steps, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let answers = BufReader::new(answers).lines();
        Self { folder: folder.to_owned(), address: address.to_owned(), steps, answers, _child: child }
    }

    /// Follows a page to its end; tells which blocks it left out, each as `page: first line`.
    pub async fn follow(&mut self, page: &str) -> Vec<String> {
        let mut left_out = Vec::new();
        let mut used = BTreeMap::new();
        let mut last = FIRST.to_owned();
        for block in blocks(page) {
            let place = format!("{page}:{}", block.line);
            let words: Vec<_> = block.note.split(' ').collect();
            match (block.language.as_str(), words.as_slice()) {
                (_, ["not", "run:", ..]) => {
                    left_out.push(format!("{page}: {}", block.text.lines().next().unwrap_or_default()));
                }
                ("sh", note) => {
                    last = note.first().copied().filter(|name| !name.is_empty()).unwrap_or(FIRST).to_owned();
                    used.insert(last.clone(), place.clone());
                    self.step(&place, &last, "run", &block.text).await;
                }
                // A drawing.
                ("", [""]) if block.text.contains('─') => {}
                ("console", [""]) => self.converse(&place, &mut used, &block.text).await,
                ("text", [name, "types"]) => self.step(&place, name, "type", &block.text).await,
                ("text" | "json", [name, "sees"]) => self.see(&place, name, &block).await,
                ("text" | "json", [""]) => self.see(&place, &last, &block).await,
                ("browser", _) => {
                    web::tell(&format!("tutorial_{}", block.text), &format!("http://{}", self.address)).await;
                }
                ("python", ["file", name]) => fs::write(self.folder.join(name), self.here(&block.text)).unwrap(),
                other => panic!("{place}: nothing is known of {other:?}"),
            }
        }
        for (name, place) in used.into_iter().filter(|(name, _)| name != SERVER) {
            self.step(&place, &name, "end", "").await;
        }
        left_out
    }

    /// Commands after a `$`, each with what it answers: figures are others everywhere.
    async fn converse(&mut self, place: &str, used: &mut BTreeMap<String, String>, text: &str) {
        used.insert(FIRST.to_owned(), place.to_owned());
        for exchange in text.split("$ ").filter(|exchange| !exchange.is_empty()) {
            let (command, answer) = exchange.split_once('\n').unwrap();
            self.step(place, FIRST, "run", command).await;
            let patterns: Vec<_> = answer.lines().map(figureless).collect();
            self.step(place, FIRST, "see", &patterns.join("\n")).await;
        }
    }

    async fn see(&mut self, place: &str, name: &str, block: &Block) {
        let patterns: Vec<_> = self.here(&block.text).lines().map(pattern).collect();
        self.step(place, name, "see", &patterns.join("\n")).await;
    }

    async fn step(&mut self, place: &str, terminal: &str, does: &str, text: &str) {
        let text = if does == "see" { text.to_owned() } else { self.here(text) };
        let step = json!({ "terminal": terminal, "does": does, "text": text });
        self.steps.write_all(format!("{step}\n").as_bytes()).await.unwrap();
        let answer = self.answers.next_line().await.unwrap().unwrap_or_else(|| panic!("{place}: no answer"));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer.is_null(), "{place}: {}", answer.as_str().unwrap());
    }

    /// A page's text as it is here.
    fn here(&self, text: &str) -> String {
        text.replace(ADDRESS, &self.address).replace(BUILT, "herald")
    }
}

/// What a line of a page stands for: `…` for anything, and an id, a time, a position or a token for any other.
fn pattern(line: &str) -> String {
    let mut pattern = String::new();
    let mut rest = line.trim_end();
    while let Some(letter) = rest.chars().next() {
        let (stands_for, length) = known(rest).unwrap_or_else(|| (escaped(letter), letter.len_utf8()));
        pattern.push_str(&stands_for);
        rest = &rest[length..];
    }
    pattern
}

/// The same for a line of a report: figures and the width of columns are others, too.
fn figureless(line: &str) -> String {
    let words = line.split_whitespace().map(|word| match known(word) {
        Some((pattern, length)) if length == word.len() => pattern,
        Some(_) | None => loosened(word),
    });
    words.collect::<Vec<_>>().join(r"\s+")
}

fn loosened(word: &str) -> String {
    const FIGURE: &str = "[-0-9.,:TZ+]+";
    let mut pattern = String::new();
    for letter in word.chars() {
        match letter {
            '…' => pattern.push_str(".*"),
            // What joins the parts of a figure belongs to it.
            '0'..='9' | '.' | ',' | ':' | '-' | 'T' | 'Z' | '+' if pattern.ends_with(FIGURE) => {}
            '0'..='9' => pattern.push_str(FIGURE),
            other => pattern.push_str(&escaped(other)),
        }
    }
    pattern
}

/// What stands for any of its kind at the beginning of a text, and how long it is.
fn known(text: &str) -> Option<(String, usize)> {
    // A digit and a hexadecimal one stand for any.
    const KINDS: [(&str, &str); 3] = [
        ("hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", "[0-9a-f-]{36}"),
        ("dddd-dd-ddTdd:dd:dd.dddZ", "[0-9T:.-]{23}Z"),
        ("dd:dd", r"\d\d:\d\d"),
    ];
    if let Some(rest) = text.strip_prefix('…') {
        return Some((".*".to_owned(), text.len() - rest.len()));
    }
    let fits = |kind: &str| {
        let is_like = |(kind, letter): (u8, u8)| match kind {
            b'h' => letter.is_ascii_hexdigit(),
            b'd' => letter.is_ascii_digit(),
            other => other == letter,
        };
        text.len() >= kind.len() && kind.bytes().zip(text.bytes()).all(is_like)
    };
    KINDS.iter().find(|(kind, _)| fits(kind)).map(|(kind, pattern)| ((*pattern).to_owned(), kind.len()))
}

fn escaped(letter: char) -> String {
    if letter.is_ascii_punctuation() { format!("\\{letter}") } else { letter.to_string() }
}

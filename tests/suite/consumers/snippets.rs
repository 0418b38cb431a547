//! The programs in `docs/consumers.md`, run as they stand there: each tells what
//! `herald events` tells.

use crate::{
    harness::{folder, program},
    people::Person,
    process::Process,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;

/// What the snippets import, pinned.
fn own(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/consumers").join(file)
}

/// The one program of that language on the page.
fn snippet(language: &str) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/consumers.md")).unwrap();
    let fence = format!("```{language}\n");
    let mut snippets = page.split(&fence).skip(1);
    let (snippet, another) = (snippets.next(), snippets.next());
    assert!(another.is_none(), "one program of {language}");
    snippet.unwrap().split("```").next().unwrap().to_owned()
}

pub async fn run(command: &mut Command) -> String {
    let said = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let said = said.unwrap_or_else(|error| panic!("{command:?}: {error}; `.ci/run` says what has to be installed"));
    let (out, error) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{command:?}\n{out}\n{error}");
    out.into_owned()
}

/// A folder with packages, made anew where other ones are wanted.
async fn packages(name: &str, files: &[&str], install: impl FnOnce(&Path) -> Command) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let differs = |file: &&str| fs::read(folder.join(file)).ok() != fs::read(own(file)).ok();
    if files.iter().any(differs) {
        fs::remove_dir_all(&folder).ok();
        let new = folder.with_extension("new");
        fs::remove_dir_all(&new).ok();
        fs::create_dir_all(&new).unwrap();
        for file in files {
            fs::copy(own(file), new.join(file)).unwrap();
        }
        run(&mut install(&new)).await;
        fs::rename(&new, &folder).unwrap();
    }
    folder
}

/// The folder of Python's packages.
pub async fn pythons() -> PathBuf {
    let install = packages("consumers-python", &["requirements.txt"], |folder| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
        pip.arg("--target").arg(folder).arg("-r").arg(folder.join("requirements.txt"));
        pip
    });
    install.await
}

async fn python(url: &str) -> String {
    run(Command::new("python3")
        .args(["-c", &snippet("python")])
        .env("PYTHONPATH", pythons().await)
        .env("HERALD_NATS_URL", url))
    .await
}

async fn javascript(url: &str) -> String {
    let folder = packages("consumers-node", &["package.json", "package-lock.json"], |folder| {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
        npm
    });
    let folder = folder.await;
    let file = folder.join(format!("snippet-{}.mjs", std::process::id()));
    fs::write(&file, snippet("js")).unwrap();
    let said = run(Command::new("node").arg(&file).env("HERALD_NATS_URL", url)).await;
    fs::remove_file(file).unwrap();
    said
}

/// What lies where, of lines of JSON.
fn told(lines: &str) -> BTreeSet<(String, String, String)> {
    let of_line = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        let kind = text("type");
        let tag = kind.strip_prefix("herald.").map_or(kind.as_str(), |name| name.split_once('.').unwrap().1);
        (text("position"), text("id"), tag.to_owned())
    };
    lines.lines().map(of_line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programs_on_the_page_tell_what_lies_in_the_log() {
    let data = folder("snippets").display().to_string();
    let herald = Process::start(&["--data", &data, "--durability", "unsynced"]).await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    for number in 1..=120 {
        assert_eq!(ada.write(&bob, &format!("text {number}")).await.body["number"], number);
    }
    let events = |option: &str| {
        let mut command = Command::new(program());
        command.args(["events", "--data", &data, option]);
        command
    };
    let url = run(&mut events("--credentials")).await;
    let expected = told(&run(&mut events("--json")).await);
    assert!(expected.len() > 120);
    assert_eq!(told(&python(url.trim()).await), expected);
    assert_eq!(told(&javascript(url.trim()).await), expected);
}

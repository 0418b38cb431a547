//! `herald chat` in a pipe, as scripts use it: through a network that is cut, each
//! line is sent once and each message is told once.

use crate::{
    harness::{Herald, program},
    people::{PASSWORD, Person},
    process::signal_child,
    proxy::Proxy,
};
use rustix::process::Signal;
use serde_json::Value;
use std::{process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

const MANY: usize = 60;
/// Longer than anything that is waited for takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// Somebody's script.
struct Script {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Script {
    fn of(person: &Person, url: &str, options: &[&str]) -> Self {
        let mut child = Command::new(program())
            .args(["chat", "--url", url, "--as", &person.username])
            .args(options)
            .env("HERALD_PASSWORD", PASSWORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output).lines() }
    }

    async fn says(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// The next line, without its time.
    async fn tells(&mut self) -> String {
        let line = timeout(PATIENCE, self.output.next_line()).await.expect("a line in time");
        let line = line.unwrap().expect("one more line");
        line.split_once("  ").map_or(line.clone(), |(_, line)| line.to_owned())
    }

    /// Its exit code, what else it told, and what it complained of.
    async fn ends(self) -> (i32, Vec<String>, String) {
        let Self { child, input, mut output } = self;
        drop(input);
        let told = async {
            let mut lines = Vec::new();
            while let Some(line) = output.next_line().await.unwrap() {
                lines.push(line.split_once("  ").map_or(line.clone(), |(_, line)| line.to_owned()));
            }
            lines
        };
        let ended = async { tokio::join!(told, child.wait_with_output()) };
        let (told, ended) = timeout(PATIENCE, ended).await.expect("an end in time");
        let ended = ended.unwrap();
        (ended.status.code().unwrap(), told, String::from_utf8_lossy(&ended.stderr).into_owned())
    }
}

/// The texts of the conversation of two, by number.
async fn texts(one: &Person, other: &Person) -> Vec<String> {
    let sent = one.write(other, "the end").await;
    let path = format!("/v1/threads/{}/messages?after=0&limit=100", sent.body["thread_id"].as_str().unwrap());
    let page = one.get_after(sent.position(), &path).await;
    let entries = page.body["entries"].as_array().unwrap().clone();
    let text = |entry: &Value| entry["body"].as_str().unwrap().to_owned();
    entries.iter().map(text).filter(|text| text != "the end").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_sent_once_and_in_order_and_messages_are_told_once_while_connections_are_cut() {
    let herald = Herald::start().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let proxy = Proxy::before(&herald.url).await;
    let url = proxy.url(&herald.url);
    let wait_for = MANY.to_string();
    let mut listener = Script::of(&bob, &url, &["--with", &ada.username, "--wait-for", &wait_for]);
    let mut talker = Script::of(&ada, &url, &["--with", &bob.username]);
    let expected: Vec<_> = (0..MANY).map(|number| format!("line {number}")).collect();
    let mut heard = Vec::new();
    for (number, line) in expected.iter().enumerate() {
        talker.says(line).await;
        if number % 10 == 3 {
            // Some are on their way, some are told, some are neither.
            while heard.last() != Some(&expected[number - 3]) {
                heard.push(listener.tells().await.replace("Some Body: ", ""));
            }
            proxy.cut();
        }
    }
    assert_eq!(talker.ends().await, (0, Vec::new(), String::new()));
    let (code, told, complaints) = listener.ends().await;
    assert_eq!((code, complaints.as_str()), (0, ""));
    heard.extend(told.iter().map(|line| line.replace("Some Body: ", "")));
    assert_eq!(heard, expected);
    assert_eq!(texts(&ada, &bob).await, expected);
    herald.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_read_is_told_once_and_what_cannot_be_done_shows_in_the_exit_code() {
    let herald = Herald::start().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    for text in ["one\ntwo", "\u{202e}three"] {
        ada.write(&bob, text).await;
    }
    let options = ["--with", &ada.username, "--wait-for", "2"];
    let (code, told, _) = Script::of(&bob, &herald.url, &options).ends().await;
    // What would control the terminal, or turn what is written there, is shown and not done.
    assert_eq!((code, told), (0, vec!["Some Body: one\\ntwo".to_owned(), "Some Body: \\u{202e}three".to_owned()]));
    // A receipt is a fact like any other: once it is there, nothing is new.
    let read = async || bob.get("/v1/threads").await.body["threads"][0]["unread"].clone();
    while read().await != 0 {}
    let (code, told, _) = Script::of(&bob, &herald.url, &options[..2]).ends().await;
    assert_eq!((code, told), (0, Vec::new()));

    let mut script = Script::of(&bob, &herald.url, &options[..2]);
    for line in ["/members", "/open nobody-is-called-that", "//slash", "/history 2", "/quit"] {
        script.says(line).await;
    }
    let (code, told, complaints) = script.ends().await;
    assert_eq!(code, 1, "{complaints}");
    assert!(complaints.contains("nobody-is-called-that is nobody"), "{complaints}");
    let members = told.iter().filter(|line| line.ends_with(", member")).count();
    assert_eq!(members, 2, "{told:?}");
    assert_eq!(texts(&ada, &bob).await.last().unwrap(), "/slash");
    let sessions = async || bob.get("/v1/sessions").await.body["sessions"].as_array().unwrap().len();
    while sessions().await != 1 {}
    herald.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_interrupted_logs_out() {
    let herald = Herald::start().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    ada.write(&bob, "hi").await;
    let mut script = Script::of(&bob, &herald.url, &["--with", &ada.username]);
    assert_eq!(script.tells().await, "Some Body: hi");
    let sessions = async || bob.get("/v1/sessions").await.body["sessions"].as_array().unwrap().len();
    assert_eq!(sessions().await, 2);
    signal_child(&script.child, Signal::INT);
    let ended = timeout(PATIENCE, script.child.wait()).await.expect("an end in time").unwrap();
    assert_eq!(ended.code(), Some(130));
    while sessions().await != 1 {}
    herald.stop().await;
}

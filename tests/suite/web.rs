//! The web client in a real Chromium. What its people do stands in
//! `tests/web/stories.py`; here they get servers, and servers that go away.

use crate::{
    harness::{self, Herald},
    people::{PASSWORD, Person, key},
    process::{Process, free_address},
};
use futures_util::{StreamExt, stream};
use reqwest::StatusCode;
use serde_json::json;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    sync::OnceCell,
};

/// Messages of the long thread, and how many are on their way at once.
const MANY: u32 = 10_000;
const AT_ONCE: usize = 64;

/// A story that is being told in a browser.
struct Story {
    name: &'static str,
    child: Child,
}

impl Story {
    async fn begin(name: &'static str, url: &str, username: &str) -> Self {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web");
        let child = Command::new("python3")
            .arg(own.join("stories.py"))
            .arg(name)
            .env("PYTHONPATH", packages(&own).await)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("CHROMIUM", chromium())
            .env("HERALD_URL", url)
            .env("HERALD_USERNAME", username)
            .env("HERALD_PASSWORD", PASSWORD)
            .env("HERALD_PICTURES", Path::new(env!("CARGO_TARGET_TMPDIR")).join("web-pictures"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { name, child }
    }

    /// Tells it to its end; what it asks for meanwhile is done by `server`.
    async fn told(mut self, mut server: Option<Server>) {
        let mut lines = BufReader::new(self.child.stdout.take().unwrap()).lines();
        let mut answers = self.child.stdin.take().unwrap();
        let mut errors = self.child.stderr.take().unwrap();
        let said = async {
            let mut said = String::new();
            errors.read_to_string(&mut said).await.unwrap();
            said
        };
        let asked = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                match (line.as_str(), &mut server) {
                    ("kill", Some(server)) => server.kill().await,
                    ("start", Some(server)) => server.start(),
                    _ => continue,
                }
                answers.write_all(b"done\n").await.unwrap();
            }
        };
        let (said, ()) = tokio::join!(said, asked);
        assert!(self.child.wait().await.unwrap().success(), "{}: {said}", self.name);
    }
}

/// A server of its own process, at one address for all of its lives.
struct Server {
    address: std::net::SocketAddr,
    data: PathBuf,
    process: Option<Process>,
}

impl Server {
    fn new() -> Self {
        let mut server = Self { address: free_address(), data: harness::folder("web"), process: None };
        server.start();
        server
    }

    fn start(&mut self) {
        let arguments = ["--data", self.data.to_str().unwrap(), "--durability", "unsynced"];
        self.process = Some(Process::launch(&harness::program(), &arguments, self.address));
    }

    async fn kill(&mut self) {
        self.process.take().unwrap().kill().await;
    }

    async fn ready(&self) -> String {
        let url = format!("http://{}", self.address);
        while !reqwest::get(format!("{url}/readyz")).await.is_ok_and(|answer| answer.status() == StatusCode::OK) {}
        url
    }
}

/// The folder of Python packages, as the requirements pin them.
async fn packages(own: &Path) -> &'static Path {
    static PACKAGES: OnceCell<PathBuf> = OnceCell::const_new();
    let install = async || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("web-packages");
        let (wanted, has) = (own.join("requirements.txt"), folder.join("requirements.txt"));
        if fs::read(&has).ok() != fs::read(&wanted).ok() {
            fs::remove_dir_all(&folder).ok();
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"]);
            let output = pip.arg("--target").arg(&folder).arg("-r").arg(&wanted).output().await.unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            fs::copy(&wanted, &has).unwrap();
        }
        folder
    };
    PACKAGES.get_or_init(install).await
}

fn chromium() -> PathBuf {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    places
        .find(|place| place.is_file())
        .expect("Chromium is missing, which the web client is tested in: apt-get install chromium")
}

#[tokio::test(flavor = "multi_thread")]
async fn people_chat_on_several_devices_and_no_markup_of_theirs_comes_to_life() {
    let herald = Herald::start().await;
    Story::begin("chat", &herald.url, "").await.told(None).await;
    herald.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_away_is_sent_once_after_a_reload_and_after_a_kill_of_the_server() {
    let server = Server::new();
    let url = server.ready().await;
    Story::begin("away", &url, "").await.told(Some(server)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_messages_scroll_without_a_long_task() {
    let herald = Herald::start().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let group = json!({ "kind": "group", "title": "Ten thousand", "member_ids": [bob.user_id] });
    let thread_id = ada.post("/v1/threads", group).await.body["thread_id"].as_str().unwrap().to_owned();
    // Whatever their order, each tells by itself where it came to lie only if they are written one after the other:
    // the first and the last are, the others as fast as may be.
    let path = format!("/v1/threads/{thread_id}/messages");
    let (path, ada, bob) = (&path, &ada, &bob);
    let write = async |number: u32| {
        let by = if number % 3 == 0 { bob } else { ada };
        let words = "and so on ".repeat(usize::try_from(number % 17).unwrap());
        let body = json!({ "key": key(), "body": format!("message {number} {words}") });
        assert_eq!(by.post(path, body).await.status, StatusCode::CREATED);
    };
    write(1).await;
    stream::iter(2..MANY).map(write).buffered(AT_ONCE).for_each(async |()| {}).await;
    write(MANY).await;
    Story::begin("scroll", &herald.url, &ada.username).await.told(None).await;
    herald.stop().await;
}

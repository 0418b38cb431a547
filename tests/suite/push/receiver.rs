//! Who takes pushes, as an operator would run it, and answers what a test wants:
//! it checks each signature by HMAC spelled out here.

use base64::{Engine, prelude::BASE64_STANDARD};
use events::Clock;
use gateway::push::Settings;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    task::JoinSet,
    time::timeout,
};

const SECRET: [u8; 32] = *b"thirty-two bytes, known to both.";
/// Longer than anything that is waited for takes.
const PATIENCE: Duration = Duration::from_secs(40);

/// Stands until it is dropped.
pub struct Receiver {
    pub url: String,
    arriving: mpsc::UnboundedReceiver<Posted>,
    script: Arc<Script>,
    _tasks: JoinSet<()>,
}

/// A push as it came.
#[derive(Debug, Clone)]
pub struct Posted {
    pub id: String,
    /// The whole body.
    pub text: String,
    pub pushes: Vec<Value>,
}

/// What to answer, one after the other, and 204 after that.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<String>>,
    /// While set, nobody is answered.
    hangs: Mutex<bool>,
    goes_on: Notify,
}

/// Pushes to that address, with everything shorter than operators want it.
pub fn settings(url: &str) -> Settings {
    Settings {
        endpoint: url.parse().unwrap(),
        secret: secret().parse().unwrap(),
        text: false,
        window: Duration::from_millis(400),
        again: Duration::from_secs(6),
        keep: Duration::from_hours(24),
    }
}

/// What it shares with whoever pushes.
pub fn secret() -> String {
    format!("whsec_{}", BASE64_STANDARD.encode(SECRET))
}

/// What a post is signed with.
pub fn signature(id: &str, second: &str, body: &[u8]) -> String {
    let signed = [format!("{id}.{second}.").as_bytes(), body].concat();
    format!("v1,{}", BASE64_STANDARD.encode(hmac(&signed)))
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?for=herald", listener.local_addr().unwrap());
        let (sender, arriving) = mpsc::unbounded_channel();
        let script = Arc::new(Script::default());
        let mut tasks = JoinSet::new();
        let of_tasks = Arc::clone(&script);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, sender.clone(), Arc::clone(&of_tasks)));
            }
        });
        Self { url, arriving, script, _tasks: tasks }
    }

    /// Answers the next posts so: a status, and headers if need be, each with its end.
    pub fn answers(&self, answers: &[&str]) {
        self.script.answers.lock().unwrap().extend(answers.iter().map(|&answer| answer.to_owned()));
    }

    /// From now on nobody is answered, or everybody again.
    pub fn hang(&self, hangs: bool) {
        *self.script.hangs.lock().unwrap() = hangs;
        self.script.goes_on.notify_waiters();
    }

    pub async fn next(&mut self) -> Posted {
        timeout(PATIENCE, self.arriving.recv()).await.expect("a push in time").unwrap()
    }

    /// All that comes until somebody is told of a thread up to a number.
    pub async fn until(&mut self, user_id: &str, number: u64) -> Vec<Posted> {
        let mut posts = Vec::new();
        loop {
            let posted = self.next().await;
            posts.push(posted);
            if posts.last().unwrap().of(user_id).is_some_and(|told| told["last_number"] == number) {
                return posts;
            }
        }
    }

    /// What has come and nobody has waited for.
    pub fn drain(&mut self) -> Vec<Posted> {
        std::iter::from_fn(|| self.arriving.try_recv().ok()).collect()
    }
}

impl Posted {
    /// What somebody is told of the first thread that they are told of.
    pub fn of(&self, user_id: &str) -> Option<&Value> {
        let push = self.pushes.iter().find(|push| push["user_id"] == user_id)?;
        Some(&push["threads"][0])
    }
}

async fn serve(stream: TcpStream, posts: mpsc::UnboundedSender<Posted>, script: Arc<Script>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut headers = HashMap::new();
        let mut first = String::new();
        if stream.read_line(&mut first).await.unwrap_or(0) == 0 {
            return;
        }
        assert_eq!(first, "POST /hook?for=herald HTTP/1.1\r\n");
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        posts.send(checked(&headers, &body)).ok();
        loop {
            let goes_on = script.goes_on.notified();
            if !*script.hangs.lock().unwrap() {
                break;
            }
            goes_on.await;
        }
        let answer = script.answers.lock().unwrap().pop_front();
        let answer = answer.unwrap_or_else(|| "204 No Content\r\n".to_owned());
        let answer = format!("HTTP/1.1 {answer}content-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn checked(headers: &HashMap<String, String>, body: &[u8]) -> Posted {
    let (id, second) = (&headers["webhook-id"], &headers["webhook-timestamp"]);
    assert_eq!(headers["webhook-signature"], signature(id, second, body));
    assert_eq!(headers["content-type"], "application/json");
    let age = Clock::system().now().timestamp() - second.parse::<i64>().unwrap();
    assert!((-1..60).contains(&age), "{second}");
    let text = String::from_utf8(body.to_vec()).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["type"], "messages.undelivered");
    let pushes = value["data"]["pushes"].as_array().unwrap().clone();
    assert!(!pushes.is_empty());
    Posted { id: id.clone(), text, pushes }
}

/// HMAC-SHA256 (RFC 2104) with the shared secret, which is shorter than a block.
fn hmac(message: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..SECRET.len()].copy_from_slice(&SECRET);
    let (inner, outer) = (block.map(|byte| byte ^ 0x36), block.map(|byte| byte ^ 0x5c));
    let inner = Sha256::new().chain_update(inner).chain_update(message).finalize();
    Sha256::new().chain_update(outer).chain_update(inner).finalize().to_vec()
}

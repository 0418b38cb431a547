//! Those who use herald: signed up over REST, several at a time, or known from an
//! earlier run; and the conversations that they are in.

use super::{Options, target::Target};
use anyhow::{Context, bail, ensure};
use events::Ids;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use uuid::Uuid;

/// Requests under way at once.
const AT_ONCE: usize = 8;
const PATIENCE: Duration = Duration::from_secs(30);
/// Access tokens of people who came longer ago are exchanged before they are used: they are good for five minutes.
const FRESH: Duration = Duration::from_mins(2);
/// How long the views may take to come so far.
const CATCHING_UP: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(200);

/// Those who have a session.
pub(super) struct People {
    pub(super) http: Http,
    pub(super) all: Vec<Person>,
    /// Sign-ups, and how long they took.
    pub(super) signed_up: usize,
    pub(super) took: Duration,
}

/// Somebody with a session, and where they write.
#[derive(Debug, Clone, Default)]
pub(super) struct Person {
    pub(super) user_id: String,
    pub(super) thread_id: String,
    pub(super) access_token: String,
    refresh_token: String,
}

/// A client of the REST API.
#[derive(Clone)]
pub(super) struct Http {
    client: Client,
    url: String,
}

/// What is kept of a person between runs.
#[derive(Serialize, Deserialize)]
struct Kept {
    url: String,
    refresh_tokens: Vec<String>,
}

/// Finds or signs up so many.
pub(super) async fn gather(count: usize, options: &Options, target: &Target) -> anyhow::Result<People> {
    let http = Http { client: Client::builder().timeout(PATIENCE).build()?, url: target.url.clone() };
    let kept = options.people.as_deref().map_or_else(|| Ok(Vec::new()), |file| read(file, &target.url))?;
    let began = Instant::now();
    let run = Ids::random().next().simple().to_string();
    let signed_up = count.saturating_sub(kept.len());
    let rest = kept.iter().skip(count).cloned().collect();
    let mut all = {
        let (http, kept) = (http.clone(), Arc::new(kept));
        in_parallel(count, move |index| {
            let (http, kept, run) = (http.clone(), Arc::clone(&kept), run.clone());
            async move {
                match kept.get(index) {
                    Some(token) => http.session(token).await,
                    None => http.sign_up(&run, index).await,
                }
            }
        })
        .await?
    };
    let took = began.elapsed();
    if took > FRESH {
        let (http, tokens) = (http.clone(), all.iter().map(|person: &Person| person.refresh_token.clone()));
        let tokens = Arc::new(tokens.collect::<Vec<_>>());
        all = in_parallel(count, move |index| {
            let (http, tokens) = (http.clone(), Arc::clone(&tokens));
            async move { http.session(&tokens[index]).await }
        })
        .await?;
    }
    if let Some(file) = &options.people {
        keep(file, &target.url, &all, rest)?;
    }
    Ok(People { http, all, signed_up, took })
}

impl Person {
    /// The same person, who writes in another thread.
    pub(super) fn writing_in(&self, thread_id: &str) -> Self {
        Self { thread_id: thread_id.to_owned(), ..self.clone() }
    }
}

impl People {
    /// Those from an index on.
    pub(super) fn split_off(&mut self, at: usize) -> Vec<Person> {
        self.all.split_off(at)
    }

    /// Opens the conversations of people two by two: 0 writes with 1, 2 with 3.
    pub(super) async fn pair(http: &Http, people: &mut [Person]) -> anyhow::Result<()> {
        let pairs: Vec<_> = people.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].user_id.clone())).collect();
        let count = pairs.len();
        let threads = {
            let (http, pairs) = (http.clone(), Arc::new(pairs));
            in_parallel(count, move |index| {
                let (http, pairs) = (http.clone(), Arc::clone(&pairs));
                async move { http.open_thread(&pairs[index].0, &pairs[index].1).await }
            })
            .await?
        };
        for (pair, thread_id) in people.chunks_mut(2).zip(threads) {
            for person in pair {
                person.thread_id.clone_from(&thread_id);
            }
        }
        Ok(())
    }
}

impl Http {
    /// What a person is told, as soon as the views have what a position stands for.
    pub(super) async fn get(&self, person: &Person, path: &str, after: &str) -> anyhow::Result<Vec<u8>> {
        let began = Instant::now();
        loop {
            let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(&person.access_token);
            let request = if after.is_empty() { request } else { request.header("herald-after", after) };
            let answer = request.send().await?;
            let (status, body) = (answer.status(), answer.bytes().await?);
            if status.is_success() {
                return Ok(body.to_vec());
            }
            let text = String::from_utf8_lossy(&body);
            ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "herald answered {status}: {text}");
            ensure!(began.elapsed() < CATCHING_UP, "the views do not catch up: {text}");
            sleep(PAUSE).await;
        }
    }

    /// A group of the first and all others.
    pub(super) async fn create_group(&self, members: &[Person]) -> anyhow::Result<String> {
        let [first, others @ ..] = members else { bail!("a group is of somebody") };
        let member_ids: Vec<_> = others.iter().map(|person| &person.user_id).collect();
        let body = json!({ "kind": "group", "title": "Bench", "member_ids": member_ids });
        let request = self.client.post(format!("{}/v1/threads", self.url)).bearer_auth(&first.access_token).json(&body);
        text(&ask(request).await.context("a group")?, "thread_id")
    }

    /// Writes into a thread; where the message lies.
    pub(super) async fn write(&self, by: &Person, thread_id: &str, key: Uuid, body: &str) -> anyhow::Result<String> {
        let body = json!({ "key": key, "body": body });
        let url = format!("{}/v1/threads/{thread_id}/messages", self.url);
        text(
            &ask(self.client.post(url).bearer_auth(&by.access_token).json(&body)).await.context("a message")?,
            "position",
        )
    }

    async fn sign_up(&self, run: &str, index: usize) -> anyhow::Result<Person> {
        let body = json!({
            "username": format!("b{}x{index}", &run[20..]),
            "password": format!("{run} bench"),
            "display_name": "Bench",
        });
        let answer = ask(self.client.post(format!("{}/v1/signup", self.url)).json(&body)).await;
        holding(&answer.context("a sign-up")?["tokens"])
    }

    async fn session(&self, refresh_token: &str) -> anyhow::Result<Person> {
        let body = json!({ "refresh_token": refresh_token });
        let answer = ask(self.client.post(format!("{}/v1/token", self.url)).json(&body)).await;
        holding(&answer.context("a session of an earlier run: delete the file to sign up anew")?)
    }

    async fn open_thread(&self, one: &Person, other: &str) -> anyhow::Result<String> {
        let body = json!({ "kind": "direct", "user_id": other });
        let request = self.client.post(format!("{}/v1/threads", self.url)).bearer_auth(&one.access_token).json(&body);
        text(&ask(request).await.context("a conversation")?, "thread_id")
    }
}

/// Does so many things, several at a time, and has their results in order.
pub(super) async fn in_parallel<T, F>(
    count: usize,
    what: impl Fn(usize) -> F + Clone + Send + Sync + 'static,
) -> anyhow::Result<Vec<T>>
where
    T: Default + Clone + Send + 'static,
    F: Future<Output = anyhow::Result<T>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let results = Arc::new(Mutex::new(vec![T::default(); count]));
    let mut workers = JoinSet::new();
    for _ in 0..AT_ONCE.min(count) {
        let (next, results, what) = (Arc::clone(&next), Arc::clone(&results), what.clone());
        workers.spawn(async move {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    return anyhow::Ok(());
                }
                let result = what(index).await?;
                results.lock().unwrap_or_else(PoisonError::into_inner)[index] = result;
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(std::mem::take(&mut *results.lock().unwrap_or_else(PoisonError::into_inner)))
}

async fn ask(request: RequestBuilder) -> anyhow::Result<Value> {
    let answer = request.send().await?;
    let status = answer.status();
    let body = answer.text().await?;
    if !status.is_success() {
        bail!("herald answered {status}: {body}");
    }
    Ok(serde_json::from_str(&body)?)
}

fn holding(tokens: &Value) -> anyhow::Result<Person> {
    Ok(Person {
        user_id: text(tokens, "user_id")?,
        thread_id: String::new(),
        access_token: text(tokens, "access_token")?,
        refresh_token: text(tokens, "refresh_token")?,
    })
}

fn text(object: &Value, name: &str) -> anyhow::Result<String> {
    Ok(object[name].as_str().with_context(|| format!("an answer without {name}"))?.to_owned())
}

fn read(file: &Path, url: &str) -> anyhow::Result<Vec<String>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let kept: Kept = serde_json::from_slice(&fs::read(file)?).context("the file of people cannot be read")?;
    ensure!(kept.url == url, "the people in {} belong to {}", file.display(), kept.url);
    Ok(kept.refresh_tokens)
}

/// Keeps those who were used, and the rest of those who were known.
fn keep(file: &Path, url: &str, people: &[Person], rest: Vec<String>) -> anyhow::Result<()> {
    let refresh_tokens = people.iter().map(|person| person.refresh_token.clone()).chain(rest).collect();
    let kept = Kept { url: url.to_owned(), refresh_tokens };
    let written = File::options().create(true).truncate(true).write(true).mode(0o600).open(file);
    let written = written.and_then(|mut file| file.write_all(&serde_json::to_vec(&kept)?));
    written.with_context(|| format!("{} cannot be written", file.display()))
}

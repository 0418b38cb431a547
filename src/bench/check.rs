//! Whether everything that was moved is everywhere: the two of a conversation
//! were told the same, all that was acknowledged is in it, and its history, read
//! back over REST, says the same once more.

use super::{
    load::Moved,
    people::{Http, People, Person, in_parallel},
    progress::Progress,
    talker::Transcript,
    target::Target,
};
use anyhow::{Context, bail, ensure};
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// How long the views may take to come so far.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(200);
const MOST_FAULTS: usize = 10;

/// What the check has found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Check {
    pub(super) passed: bool,
    /// Messages that both were told, and that history has.
    pub(super) messages: u64,
    /// What is wrong, the first of it.
    pub(super) faults: Vec<String>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    entries: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    number: u64,
    #[serde(borrow, default)]
    key: Cow<'a, str>,
    #[serde(borrow, default)]
    sender_id: Cow<'a, str>,
    #[serde(borrow, default)]
    body: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Head {
    last_number: u64,
}

/// What history has of a conversation, against what it should have.
#[derive(Debug, Clone, Default)]
struct Read {
    messages: u64,
    fault: Option<String>,
}

pub(super) async fn run(target: &Target, people: &People, moved: &Moved, progress: &Progress) -> anyhow::Result<Check> {
    let mut faults: Vec<String> = moved.outcomes.iter().flat_map(|outcome| outcome.faults.clone()).collect();
    if !moved.complete {
        let end = &moved.end;
        faults.push(format!(
            "not all arrived: {} sent, {} acknowledged, {} refused, {} delivered, {} projected",
            end.sent, end.acknowledged, end.refused, end.delivered, end.projected
        ));
    }
    let mut told = 0;
    let mut pairs = Vec::new();
    for pair in moved.outcomes.chunks(2) {
        let [one, other] = pair else { bail!("people come in pairs") };
        told += one.told.messages;
        if one.told.digest() != other.told.digest() {
            faults.push(format!(
                "persons {} and {} were told differently: {} messages up to {}, {} messages up to {}",
                one.person,
                other.person,
                one.told.messages,
                one.told.last_number,
                other.told.messages,
                other.told.last_number
            ));
        }
        // Half of the histories are read by those who write first, half by their peers.
        let reader = if pairs.len() % 2 == 0 { one.person } else { other.person };
        pairs.push((people.all[reader].clone(), one.told.clone()));
    }
    let (end, refused) = (&moved.end, moved.end.refused);
    if !(end.acknowledged..=end.acknowledged + refused).contains(&told) {
        faults.push(format!("{told} messages were told, {} acknowledged and {refused} refused", end.acknowledged));
    }
    let read = history(target, &people.http, pairs, progress).await?;
    let messages = read.iter().map(|read| read.messages).sum();
    faults.extend(read.into_iter().filter_map(|read| read.fault));
    faults.truncate(MOST_FAULTS);
    Ok(Check { passed: faults.is_empty(), messages, faults })
}

async fn history(
    target: &Target,
    http: &Http,
    pairs: Vec<(Person, Transcript)>,
    progress: &Progress,
) -> anyhow::Result<Vec<Read>> {
    progress.step(&format!("reading {} histories back from {}", pairs.len(), target.url));
    let (http, pairs) = (http.clone(), Arc::new(pairs));
    in_parallel(pairs.len(), move |index| {
        let (http, pairs) = (http.clone(), Arc::clone(&pairs));
        async move {
            let (person, told) = &pairs[index];
            read_back(&http, person, told).await
        }
    })
    .await
}

async fn read_back(http: &Http, person: &Person, told: &Transcript) -> anyhow::Result<Read> {
    if told.messages == 0 {
        return Ok(Read::default());
    }
    let wrong = |messages, fault| Ok(Read { messages, fault: Some(format!("thread {}: {fault}", person.thread_id)) });
    let mut found = Transcript::default();
    let mut last = told.last_number - told.messages;
    while last < told.last_number {
        let path = format!("/v1/threads/{}/messages?after={last}&limit=100", person.thread_id);
        let body = get(http, person, &path, &told.position).await?;
        let page: Page<'_> = serde_json::from_slice(&body).context("a page of history")?;
        for entry in &page.entries {
            if entry.number != last + 1 {
                return wrong(found.messages, format!("history has message {} after message {last}", entry.number));
            }
            let body = entry.body.as_deref().unwrap_or_default();
            found.add(entry.number, entry.key.as_bytes(), entry.sender_id.as_bytes(), body.as_bytes());
            last = entry.number;
        }
        if page.entries.is_empty() {
            return wrong(found.messages, format!("history ends at message {last} of {}", told.last_number));
        }
    }
    let head = get(http, person, &format!("/v1/threads/{}", person.thread_id), &told.position).await?;
    let head: Head = serde_json::from_slice(&head).context("a thread of the inbox")?;
    if head.last_number != told.last_number {
        return wrong(
            found.messages,
            format!("the inbox has message {} as last of {}", head.last_number, told.last_number),
        );
    }
    if found.messages != told.messages || found.digest() != told.digest() {
        return wrong(found.messages, "history says something else than was told".to_owned());
    }
    Ok(Read { messages: found.messages, fault: None })
}

/// Asks until the view has come so far.
async fn get(http: &Http, person: &Person, path: &str, after: &str) -> anyhow::Result<Vec<u8>> {
    let began = Instant::now();
    loop {
        let (status, body) = http.get(person, path, after).await?;
        if status.is_success() {
            return Ok(body);
        }
        let text = String::from_utf8_lossy(&body);
        ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "herald answered {status}: {text}");
        ensure!(began.elapsed() < PATIENCE, "the views do not catch up: {text}");
        sleep(PAUSE).await;
    }
}

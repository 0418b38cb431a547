//! Whether everything that was moved is everywhere: those in a conversation
//! were told the same, all that was acknowledged is in it, and its history, read
//! back over REST, says the same once more.

use super::load::Moved;
use crate::bench::{
    people::{Http, Person, in_parallel},
    progress::Progress,
    report::Check,
    target::Target,
    transcript::Transcript,
};
use anyhow::Context;
use serde::Deserialize;
use std::{borrow::Cow, sync::Arc};

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    entries: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
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

/// Compares what people were told, so many of them in each conversation, in their order.
pub(in crate::bench) async fn run(
    target: &Target,
    http: &Http,
    people: &[Person],
    together: usize,
    moved: &Moved,
    progress: &Progress,
) -> anyhow::Result<Check> {
    let mut faults: Vec<String> = moved.outcomes.iter().flat_map(|outcome| outcome.faults.clone()).collect();
    if !moved.complete {
        let end = &moved.end;
        faults.push(format!(
            "not all arrived: {} sent, {} acknowledged, {} refused, {} delivered, {} projected",
            end.sent, end.acknowledged, end.refused, end.delivered, end.projected
        ));
    }
    let mut told = 0;
    let mut conversations = Vec::new();
    for outcomes in moved.outcomes.chunks(together) {
        let [one, others @ ..] = outcomes else { continue };
        told += one.told.messages;
        for other in others.iter().filter(|other| other.told.digest() != one.told.digest()) {
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
        // Half of the histories are read by those who write first, half by others.
        let reader = if conversations.len() % 2 == 0 { others.last().unwrap_or(one) } else { one };
        conversations.push((people[reader.person].clone(), one.told.clone()));
    }
    let (end, refused) = (&moved.end, moved.end.refused);
    if !(end.acknowledged..=end.acknowledged + refused).contains(&told) {
        faults.push(format!("{told} messages were told, {} acknowledged and {refused} refused", end.acknowledged));
    }
    progress.step(&format!("reading {} histories back from {}", conversations.len(), target.url));
    let read = history(http, conversations).await?;
    let messages = read.iter().map(|read| read.messages).sum();
    faults.extend(read.into_iter().filter_map(|read| read.fault));
    Ok(Check::of(messages, faults))
}

async fn history(http: &Http, conversations: Vec<(Person, Transcript)>) -> anyhow::Result<Vec<Read>> {
    let (http, conversations) = (http.clone(), Arc::new(conversations));
    in_parallel(conversations.len(), move |index| {
        let (http, conversations) = (http.clone(), Arc::clone(&conversations));
        async move {
            let (person, told) = &conversations[index];
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
    if told.position.is_empty() {
        return wrong(0, "the last message was told without a position".to_owned());
    }
    let mut found = Transcript::default();
    let mut last = told.last_number - told.messages;
    while last < told.last_number {
        let path = format!("/v1/threads/{}/messages?after={last}&limit=100", person.thread_id);
        let body = http.get(person, &path, &told.position).await?;
        let page: Page<'_> = serde_json::from_slice(&body).context("a page of history")?;
        for entry in page.entries.iter().filter(|entry| entry.kind == "message") {
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
    let head = http.get(person, &format!("/v1/threads/{}", person.thread_id), &told.position).await?;
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

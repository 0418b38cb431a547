//! Fills a log without asking anybody: facts as the deciders would have them, at
//! their expectations, as many at once as a partition takes.

use super::progress::Progress;
use anyhow::Context;
use events::{
    Aggregate, Clock, EventId, EventLog, Ids, MessageKey, Text, ThreadEvent, ThreadId, UserEvent, UserId,
    envelope::Draft,
};
use futures_util::{StreamExt, TryStreamExt, stream};

const AT_ONCE: usize = 512;
/// Messages of each thread.
const EACH: u64 = 100;

/// So many messages in threads of a hundred, between people who exist in the log only.
pub(super) async fn fill(log: &EventLog, messages: u64, body: usize, progress: &Progress) -> anyhow::Result<()> {
    let (ids, clock) = (Ids::random(), Clock::system());
    let threads = usize::try_from(messages.div_ceil(EACH))?;
    // The fewest people that make so many pairs.
    let people =
        (1..threads + 2).find(|people| people * (people - 1) / 2 >= threads).context("there are that many pairs")?;
    let people: Vec<UserId> = stream::iter(0..people)
        .map(|_| {
            let (ids, clock) = (ids.clone(), clock.clone());
            async move { person(log, &ids, &clock).await }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let pairs = (1..people.len()).flat_map(|one| (0..one).map(move |other| (one, other)));
    let mut written = 0;
    let mut conversations = stream::iter(pairs.take(threads))
        .map(|(one, other)| converse(log, &ids, &clock, [people[one], people[other]], EACH, body))
        .buffer_unordered(AT_ONCE);
    while let Some(conversed) = conversations.next().await {
        conversed?;
        written += EACH;
        progress.step(&format!("filling the log: {written}/{messages}"));
    }
    Ok(())
}

/// So many people, each with a thread in which they have written once.
pub(super) async fn sparsely(log: &EventLog, people: u64, body: usize, progress: &Progress) -> anyhow::Result<()> {
    let (ids, clock) = (Ids::random(), Clock::system());
    let mut written = 0;
    let mut accounts = stream::iter(0..people)
        .map(|_| {
            let (ids, clock) = (ids.clone(), clock.clone());
            async move {
                let pair = [person(log, &ids, &clock).await?, UserId::from_uuid(ids.next())];
                converse(log, &ids, &clock, pair, 1, body).await
            }
        })
        .buffer_unordered(AT_ONCE);
    while let Some(account) = accounts.next().await {
        account?;
        written += 1;
        progress.step(&format!("filling the log: {written}/{people}"));
    }
    Ok(())
}

async fn person(log: &EventLog, ids: &Ids, clock: &Clock) -> anyhow::Result<UserId> {
    let user_id = UserId::from_uuid(ids.next());
    log.keyring().make(user_id).await?;
    let name = Text::new(&format!("u{}", user_id.uuid().simple()));
    let event = UserEvent::SignedUp { username: name.clone(), display_name: name }.into();
    let (id, by) = (EventId::from_uuid(ids.next()), Some(user_id));
    log.append(&Draft { aggregate: Aggregate::User(user_id), id, by, at: clock.now(), event }, Some(0)).await?;
    Ok(user_id)
}

/// Two write to each other in turns, so many messages.
async fn converse(
    log: &EventLog,
    ids: &Ids,
    clock: &Clock,
    pair: [UserId; 2],
    messages: u64,
    body: usize,
) -> anyhow::Result<()> {
    let aggregate = Aggregate::Thread(ThreadId::direct(pair[0], pair[1]));
    let mut expected = 0;
    for number in 1..=u32::try_from(messages)? {
        let [by, to] = if number % 2 == 1 { pair } else { [pair[1], pair[0]] };
        let event = ThreadEvent::MessageSent {
            number,
            key: MessageKey::from_uuid(ids.next()),
            body: Text::new(&"x".repeat(body)),
            reply_to: None,
            opens: (number == 1).then_some(to),
            mentions: Vec::new(),
            attachments: Vec::new(),
        };
        let id = EventId::from_uuid(ids.next());
        let draft = Draft { aggregate, id, by: Some(by), at: clock.now(), event: event.into() };
        expected = log.append(&draft, Some(expected)).await?.sequence;
    }
    Ok(())
}

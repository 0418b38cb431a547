//! Letters that wait to be posted, and those that nobody took. They hold ids
//! only: what is told of a thread is looked up when a letter goes out.

use chrono::serde::ts_milliseconds;
use events::{
    EventLog, ThreadId, Timestamp, UserId,
    log::{Bucket, BucketError},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

const WORD: &str = "letter";
/// How long a letter that nobody took is kept.
const DEAD_LAST: Duration = Duration::from_hours(7 * 24);
/// Beyond so many, the oldest go.
const MOST_DEAD: u64 = 10_000;

/// About whom one post is, and where they are waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Of the post, however often it is tried.
    pub id: Uuid,
    /// Whose letter it is.
    pub(super) lead: Uuid,
    /// Of the look that made it; 0 for one that an operator sent again.
    pub(super) window: u64,
    #[serde(with = "ts_milliseconds")]
    pub made_at: Timestamp,
    #[serde(with = "ts_milliseconds")]
    pub(super) due_at: Timestamp,
    pub pairs: Vec<(UserId, ThreadId)>,
}

/// A letter that nobody took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dead {
    pub letter: Letter,
    #[serde(with = "ts_milliseconds")]
    pub died_at: Timestamp,
    pub reason: String,
}

/// Where letters lie. Clones share it.
#[derive(Clone)]
pub struct Outbox {
    pub(super) letters: Bucket,
    dead: Bucket,
}

impl Outbox {
    /// Opens the buckets.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn open(log: &EventLog) -> Result<Self, BucketError> {
        let (letters, dead) = (log.bucket("PUSHES").await?, log.fading_bucket("PUSHES_DEAD", DEAD_LAST).await?);
        Ok(Self { letters, dead })
    }

    pub(super) async fn add(&self, letter: &Letter) -> Result<(), BucketError> {
        let value = serde_json::to_vec(letter).expect("a letter is plain data");
        self.letters.put(&key(letter.id), value.into()).await
    }

    pub(super) async fn find(&self, id: Uuid) -> Result<Option<Letter>, BucketError> {
        let entry = self.letters.get(&key(id)).await?;
        Ok(entry.and_then(|entry| serde_json::from_slice(&entry.value).ok()))
    }

    /// The oldest letter that was written after a revision, and its own.
    pub(super) async fn next(&self, mut after: u64) -> Result<Option<(u64, Letter)>, BucketError> {
        while let Some((key, entry)) = self.letters.next_below(WORD, after).await? {
            match serde_json::from_slice(&entry.value) {
                Ok(letter) => return Ok(Some((entry.revision, letter))),
                Err(error) => tracing::error!(key, %error, "a letter cannot be read"),
            }
            after = entry.revision;
        }
        Ok(None)
    }

    /// How many letters are not posted yet.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn waiting(&self) -> Result<u64, BucketError> {
        // The record of who pushes is no letter.
        Ok(self.letters.count().await?.saturating_sub(1))
    }

    pub(super) async fn remove(&self, id: Uuid) -> Result<(), BucketError> {
        self.letters.purge(&key(id)).await
    }

    /// Nobody takes it: it is kept where an operator finds it.
    pub(super) async fn bury(&self, dead: &Dead) -> Result<(), BucketError> {
        if self.dead.count().await? >= MOST_DEAD
            && let Some((oldest, _)) = self.dead.next(0).await?
        {
            self.dead.purge(&oldest).await?;
        }
        let value = serde_json::to_vec(dead).expect("a letter is plain data");
        self.dead.put(&dead.letter.id.to_string(), value.into()).await?;
        self.remove(dead.letter.id).await
    }

    /// The letters that nobody took, the oldest first.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn dead(&self) -> Result<Vec<Dead>, BucketError> {
        let (mut found, mut after) = (Vec::new(), 0);
        while let Some((key, entry)) = self.dead.next(after).await? {
            after = entry.revision;
            match serde_json::from_slice(&entry.value) {
                Ok(dead) => found.push(dead),
                Err(error) => tracing::error!(key, %error, "a dead letter cannot be read"),
            }
        }
        Ok(found)
    }

    /// Has a letter that nobody took posted again, under its own id.
    ///
    /// # Errors
    /// When NATS does not answer: then it may be in both places, and goes out once.
    pub async fn revive(&self, dead: &Dead, now: Timestamp) -> Result<(), BucketError> {
        self.add(&Letter { window: 0, made_at: now, due_at: now, ..dead.letter.clone() }).await?;
        self.dead.purge(&dead.letter.id.to_string()).await
    }
}

fn key(id: Uuid) -> String {
    format!("{WORD}.{id}")
}

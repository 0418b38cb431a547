//! Appending: one fact at one expectation, with exactly one outcome. Where NATS
//! leaves it open, only a stored event settles it, ours or another's; until
//! then the same fact is offered again at the same expectation.

use super::{ANSWER_TIMEOUT, EventLog, LogError};
use crate::{Position, Trace, envelope::Draft};
use async_nats::{
    HeaderMap,
    header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
    jetstream::context::{PublishError, PublishErrorKind},
};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How long an open outcome is pursued before the caller is told that it is unknown.
const SETTLE_FOR: Duration = Duration::from_secs(8);
/// How long to wait before it is offered again: twice as long each time, and a little more by chance, so that an election
/// is not met by all waiting facts at once.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why a fact was not appended, or not known to be.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another fact stands where this one was expected to.
    #[error("the aggregate has moved on")]
    Conflict,
    /// It may be in the log, now or later. The same fact at the same expectation cannot be there twice.
    #[error("the outcome is unknown")]
    OutcomeUnknown(#[source] LogError),
    #[error(transparent)]
    Log(#[from] LogError),
}

enum Published {
    Stored(u64),
    Refused,
    Open(LogError),
}

impl EventLog {
    /// Appends a fact, if its aggregate's newest fact is still the expected one (0: none).
    /// Facts that commute give no expectation.
    ///
    /// # Errors
    /// See [`AppendError`].
    #[tracing::instrument(level = "debug", name = "events.append", skip_all, fields(aggregate = %draft.aggregate))]
    pub async fn append(&self, draft: &Draft, expected: Option<u64>) -> Result<Position, AppendError> {
        let began = Instant::now();
        let outcome = self.offer(draft, expected).await;
        self.0.measures.appended(&outcome, began.elapsed());
        outcome
    }

    /// Offers the same bytes until their outcome is known.
    async fn offer(&self, draft: &Draft, expected: Option<u64>) -> Result<Position, AppendError> {
        let key = match draft.by {
            Some(author) => self.keyring().get(author).await?,
            None => None,
        };
        let payload = draft.encode(key.as_ref(), Trace::current()).map_err(LogError::Unstorable)?;
        let payload = bytes::Bytes::from(payload);
        let partition = self.names().partition_of(draft.aggregate);
        let deadline = Instant::now() + SETTLE_FOR;
        let mut open: Option<LogError> = None;
        let mut pause = FIRST_PAUSE;
        loop {
            match self.publish(draft, expected, payload.clone()).await? {
                Published::Stored(sequence) => return Ok(Position { partition, sequence }),
                Published::Refused if open.is_none() => return Err(AppendError::Conflict),
                Published::Refused => {}
                Published::Open(error) => open = Some(error),
            }
            if let Some(expected) = expected {
                match timeout_at(deadline, self.settle(draft, expected)).await {
                    Ok(Ok(Some(outcome))) => return outcome,
                    Ok(Ok(None)) | Err(_) => {}
                    Ok(Err(error)) => open = Some(error),
                }
            }
            if Instant::now() >= deadline {
                let unsettled = LogError::Unavailable("the log did not settle it in time".into());
                return Err(AppendError::OutcomeUnknown(open.unwrap_or(unsettled)));
            }
            let chance = u64::from(draft.id.uuid().as_bytes()[15]);
            sleep(pause + Duration::from_millis(chance / 4)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn publish(
        &self,
        draft: &Draft,
        expected: Option<u64>,
        payload: bytes::Bytes,
    ) -> Result<Published, AppendError> {
        let mut headers = HeaderMap::new();
        if let Some(expected) = expected {
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string());
        }
        let subject = self.names().subject(draft.aggregate);
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let published = async {
            let ack = self.0.context.publish_with_headers(subject, headers, payload).await?;
            ack.await.map(|ack| ack.sequence)
        };
        Ok(match timeout_at(deadline, published).await {
            Ok(Ok(sequence)) => Published::Stored(sequence),
            Ok(Err(error)) => Self::failed(error)?,
            Err(elapsed) => Published::Open(LogError::Unavailable(elapsed.into())),
        })
    }

    fn failed(error: PublishError) -> Result<Published, AppendError> {
        match error.kind() {
            PublishErrorKind::WrongLastSequence => Ok(Published::Refused),
            // Never left this process.
            PublishErrorKind::MaxPayloadExceeded | PublishErrorKind::MaxAckPending => {
                Err(LogError::Unavailable(error.into()).into())
            }
            PublishErrorKind::StreamNotFound
            | PublishErrorKind::WrongLastMessageId
            | PublishErrorKind::TimedOut
            | PublishErrorKind::BrokenPipe
            | PublishErrorKind::Other => Ok(Published::Open(LogError::Unavailable(error.into()))),
        }
    }

    /// What stands above the expectation: ours, another's, or nothing yet.
    async fn settle(&self, draft: &Draft, expected: u64) -> Result<Option<Result<Position, AppendError>>, LogError> {
        if self.newest(draft.aggregate).await?.is_none_or(|(sequence, _)| sequence <= expected) {
            return Ok(None);
        }
        let first = self.first_above(draft.aggregate, expected).await?;
        Ok(Some(first.filter(|first| first.id == draft.id).map(|first| first.position).ok_or(AppendError::Conflict)))
    }
}

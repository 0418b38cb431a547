//! One aggregate's facts, newest first along the links that their expectations
//! left in the log. Every read is answered by the stream's leader.

use super::{EventLog, LogError, decode::Stored};
use crate::{Aggregate, Envelope, EventId, Position};
use async_nats::{
    HeaderMap,
    header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
    jetstream::stream::{LastRawMessageErrorKind, RawMessageErrorKind},
};
use std::sync::Arc;

/// What lies after a known event of an aggregate.
#[derive(Debug)]
pub enum History {
    /// The facts since then, oldest first; none where that event is the newest.
    Since(Vec<Arc<Envelope>>),
    /// The log does not hold that event: whoever knows it knows another history.
    Foreign,
    /// There are more facts than were asked for.
    TooLong,
}

enum Walk {
    Arrived(Vec<Stored>),
    TooLong,
    /// The links lead past it: no fact of the aggregate lies there.
    Past(Vec<Stored>),
    /// The links end above it.
    Astray,
}

/// A stored message and the sequence of the aggregate's previous one (0: it is the first).
struct Linked {
    stored: Stored,
    previous: u64,
}

impl EventLog {
    /// The facts of an aggregate after one that the caller knows, or all of them.
    ///
    /// # Errors
    /// When NATS does not answer, or a fact cannot be read.
    pub async fn history(&self, aggregate: Aggregate, known: Option<(u64, EventId)>) -> Result<History, LogError> {
        self.history_within(aggregate, known, usize::MAX).await
    }

    /// The same, given up where there are more facts than that.
    ///
    /// # Errors
    /// As [`EventLog::history`].
    pub async fn history_within(
        &self,
        aggregate: Aggregate,
        known: Option<(u64, EventId)>,
        most: usize,
    ) -> Result<History, LogError> {
        let (floor, id) = known.map_or((0, None), |(sequence, id)| (sequence, Some(id)));
        let newest_first = match self.walk(aggregate, floor, most).await? {
            Walk::Arrived(newest_first) => newest_first,
            Walk::TooLong => return Ok(History::TooLong),
            Walk::Past(_) | Walk::Astray => return Ok(History::Foreign),
        };
        let position = Position { partition: self.names().partition_of(aggregate), sequence: floor };
        if self.event_id_at(position).await? != id {
            return Ok(History::Foreign);
        }
        self.oldest_first(newest_first).await.map(History::Since)
    }

    /// The first fact of an aggregate above a sequence at which one of its facts lies (or 0).
    pub(super) async fn first_above(
        &self,
        aggregate: Aggregate,
        floor: u64,
    ) -> Result<Option<Arc<Envelope>>, LogError> {
        match self.walk(aggregate, floor, usize::MAX).await? {
            Walk::Arrived(newest_first) => {
                let first = newest_first.last().map(std::slice::from_ref).unwrap_or_default();
                Ok(self.decode(first).await?.pop())
            }
            Walk::TooLong | Walk::Past(_) | Walk::Astray => Ok(None),
        }
    }

    /// The facts of an aggregate above any sequence, oldest first; `None` where there are more than that.
    ///
    /// # Errors
    /// When NATS does not answer, or a fact cannot be read.
    pub async fn history_above(
        &self,
        aggregate: Aggregate,
        floor: u64,
        most: usize,
    ) -> Result<Option<Vec<Arc<Envelope>>>, LogError> {
        match self.walk(aggregate, floor, most).await? {
            Walk::Arrived(newest_first) | Walk::Past(newest_first) => self.oldest_first(newest_first).await.map(Some),
            Walk::TooLong | Walk::Astray => Ok(None),
        }
    }

    /// Back along the links, down to a sequence.
    async fn walk(&self, aggregate: Aggregate, floor: u64, most: usize) -> Result<Walk, LogError> {
        let mut newest_first = Vec::new();
        let mut next = self.last(aggregate).await?;
        let mut reached = next.as_ref().map_or(0, |linked| linked.stored.position.sequence);
        while reached > floor {
            let Some(linked) = next else { return Ok(Walk::Astray) };
            if newest_first.len() == most {
                return Ok(Walk::TooLong);
            }
            newest_first.push(linked.stored);
            reached = linked.previous;
            next = if reached > floor { self.at(aggregate, reached).await? } else { None };
        }
        Ok(if reached == floor { Walk::Arrived(newest_first) } else { Walk::Past(newest_first) })
    }

    async fn oldest_first(&self, mut newest_first: Vec<Stored>) -> Result<Vec<Arc<Envelope>>, LogError> {
        newest_first.reverse();
        self.decode(&newest_first).await
    }

    /// An aggregate's newest fact: where it lies, and its id.
    ///
    /// # Errors
    /// When NATS does not answer, or the fact has no id.
    pub async fn newest(&self, aggregate: Aggregate) -> Result<Option<(u64, EventId)>, LogError> {
        let Some(Linked { stored, .. }) = self.last(aggregate).await? else { return Ok(None) };
        Ok(Some((stored.position.sequence, stored.id()?)))
    }

    /// The id of the event at a position; `None` where the log holds none.
    ///
    /// # Errors
    /// When NATS does not answer, or the event has no id.
    pub async fn event_id_at(&self, position: Position) -> Result<Option<EventId>, LogError> {
        self.stored_at(position).await?.map(|stored| stored.id()).transpose()
    }

    /// The event at a position, with its texts; `None` where the log holds none.
    ///
    /// # Errors
    /// When NATS does not answer, or the event cannot be read.
    pub async fn event_at(&self, position: Position) -> Result<Option<Arc<Envelope>>, LogError> {
        let stored = self.stored_at(position).await?;
        Ok(self.decode(stored.as_slice()).await?.pop())
    }

    async fn stored_at(&self, position: Position) -> Result<Option<Stored>, LogError> {
        if position.sequence == 0 {
            return Ok(None);
        }
        match self.stream(position.partition).get_raw_message(position.sequence).await {
            Ok(message) => Ok(Some(Stored { subject: message.subject, position, payload: message.payload })),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The id of the fact of an aggregate at a sequence; `None` where none of its own lies there.
    pub(super) async fn own_id_at(&self, aggregate: Aggregate, sequence: u64) -> Result<Option<EventId>, LogError> {
        if sequence == 0 {
            return Ok(None);
        }
        let Some(Linked { stored, .. }) = self.at(aggregate, sequence).await? else { return Ok(None) };
        if *stored.subject == self.names().subject(aggregate) { stored.id().map(Some) } else { Ok(None) }
    }

    async fn last(&self, aggregate: Aggregate) -> Result<Option<Linked>, LogError> {
        let subject = self.names().subject(aggregate);
        match self.stream_of(aggregate).get_last_raw_message_by_subject(&subject).await {
            Ok(message) => Ok(Some(self.linked(aggregate, message))),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn at(&self, aggregate: Aggregate, sequence: u64) -> Result<Option<Linked>, LogError> {
        match self.stream_of(aggregate).get_raw_message(sequence).await {
            Ok(message) => Ok(Some(self.linked(aggregate, message))),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn linked(&self, aggregate: Aggregate, message: async_nats::jetstream::message::StreamMessage) -> Linked {
        let position = Position { partition: self.names().partition_of(aggregate), sequence: message.sequence };
        let previous = previous(&message.headers);
        Linked { stored: Stored { subject: message.subject, position, payload: message.payload }, previous }
    }
}

pub(super) fn previous(headers: &HeaderMap) -> u64 {
    headers.get(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE).and_then(|sequence| sequence.as_str().parse().ok()).unwrap_or(0)
}

//! What is being written to a client: taken whole from its outbox, written
//! together, flushed once.

use crate::{hub::Outbox, measures};
use axum::{
    Error,
    extract::ws::{Message, Utf8Bytes, WebSocket},
};
use futures_util::{SinkExt, stream::SplitSink};
use std::collections::VecDeque;

pub(super) struct Writing {
    sink: SplitSink<WebSocket, Message>,
    frames: VecDeque<Utf8Bytes>,
    /// A ping; it goes first.
    control: Option<Message>,
    unflushed: bool,
    /// Frames since the last flush.
    written: u64,
}

impl Writing {
    pub(super) fn to(sink: SplitSink<WebSocket, Message>) -> Self {
        Self { sink, frames: VecDeque::new(), control: None, unflushed: false, written: 0 }
    }

    /// Takes what waits, once all before it is written: while a client reads slowly, its outbox fills.
    pub(super) fn fill(&mut self, outbox: &Outbox) {
        if self.frames.is_empty() {
            self.frames = outbox.take();
            if !self.frames.is_empty() {
                measures::queued(self.frames.len());
            }
        }
    }

    /// Takes what waits behind what is being written.
    pub(super) fn append(&mut self, outbox: &Outbox) {
        self.frames.append(&mut outbox.take());
    }

    pub(super) fn ping(&mut self) {
        self.control = Some(Message::Ping(axum::body::Bytes::new()));
    }

    pub(super) fn is_due(&self) -> bool {
        self.control.is_some() || !self.frames.is_empty() || self.unflushed
    }

    /// Drops what is not written yet.
    pub(super) fn forget(&mut self) {
        self.frames.clear();
    }

    /// Writes all. Dropped half-way, it goes on where it was.
    pub(super) async fn write(&mut self) -> Result<(), Error> {
        while let Some(message) = self.next() {
            self.sink.feed(message).await?;
            self.unflushed = true;
            if self.control.take().is_none() {
                self.frames.pop_front();
                self.written += 1;
            }
        }
        self.sink.flush().await?;
        self.unflushed = false;
        measures::sent(std::mem::take(&mut self.written));
        Ok(())
    }

    /// Writes what is left, and the last message after it.
    pub(super) async fn finish(&mut self, last: Message) -> Result<(), Error> {
        self.control = None;
        self.write().await?;
        self.sink.send(last).await
    }

    fn next(&self) -> Option<Message> {
        self.control.clone().or_else(|| self.frames.front().cloned().map(Message::Text))
    }
}

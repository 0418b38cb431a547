//! What waits to be written to one socket. Bounded, allocated when used, taken
//! whole: a client that does not read costs this much and is cut off.

use axum::extract::ws::Utf8Bytes;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

const MAX_FRAMES: usize = 256;
/// So many do not wait for more.
const MANY_FRAMES: usize = 64;
const MAX_BYTES: usize = 1 << 20;

/// The frames on their way to one socket, and why there will be no more.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Utf8Bytes>,
    pushed: usize,
    bytes: usize,
    ended: Option<Ended>,
}

/// Why the hub ends a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It does not read what it is sent.
    Slow,
    /// Its log-in was ended.
    Revoked,
    /// The person has opened too many others since.
    Superseded,
    /// The node does not hear the log.
    Deaf,
    /// The node was away for so long that it was taken for dead.
    Lost,
}

impl Outbox {
    /// Adds a frame; the one that is too many ends the socket.
    pub(crate) fn push(&self, frame: Utf8Bytes) {
        self.lock().push(frame);
        self.wake();
    }

    /// Adds a frame that may wait for others, but for too many. Whether it is the first, and the socket to be woken for it.
    pub(super) fn hold(&self, frame: Utf8Bytes) -> bool {
        let mut queue = self.lock();
        let first = queue.frames.is_empty() && queue.ended.is_none();
        queue.push(frame);
        let is_urgent = queue.ended.is_some() || queue.frames.len() == MANY_FRAMES;
        drop(queue);
        if is_urgent {
            self.wake();
        }
        first
    }

    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Adds a run of small frames, which counts as one of the queue's and for all its bytes.
    pub(super) fn push_run(&self, frames: Vec<Utf8Bytes>) {
        let mut queue = self.lock();
        if queue.ended.is_some() {
            return;
        }
        queue.pushed += 1;
        queue.bytes += frames.iter().map(|frame| frame.len()).sum::<usize>();
        if queue.pushed > MAX_FRAMES || queue.bytes > MAX_BYTES {
            queue.end(Ended::Slow);
        } else {
            queue.frames.extend(frames);
        }
        drop(queue);
        self.changed.notify_one();
    }

    /// Adds what a client missed: bounded by its own limit, not by the queue's.
    pub(super) fn load(&self, frames: impl IntoIterator<Item = Utf8Bytes>) {
        let mut queue = self.lock();
        if queue.ended.is_none() {
            queue.frames.extend(frames);
        }
        drop(queue);
        self.changed.notify_one();
    }

    /// Nothing more is sent: what waits goes with it, the client resumes before it.
    pub(super) fn end(&self, why: Ended) {
        self.lock().end(why);
        self.changed.notify_one();
    }

    pub(crate) fn ended(&self) -> Option<Ended> {
        self.lock().ended
    }

    /// All that waits.
    pub(crate) fn take(&self) -> VecDeque<Utf8Bytes> {
        let mut queue = self.lock();
        (queue.pushed, queue.bytes) = (0, 0);
        std::mem::take(&mut queue.frames)
    }

    /// Waits for a frame or the end; dropped half-way, it loses nothing.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, frame: Utf8Bytes) {
        if self.ended.is_some() {
            return;
        }
        self.pushed += 1;
        self.bytes += frame.len();
        if self.pushed > MAX_FRAMES || self.bytes > MAX_BYTES {
            self.end(Ended::Slow);
        } else {
            self.frames.push_back(frame);
        }
    }

    fn end(&mut self, why: Ended) {
        if self.ended.is_none() {
            *self = Self { ended: Some(why), ..Self::default() };
        }
    }
}

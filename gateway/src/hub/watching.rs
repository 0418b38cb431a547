//! Tells sockets of the presence of those whom they watch. Whatever may have
//! changed is looked up in the view, together with who may see it, at a checkpoint
//! that has it; one task asks and tells, so that nothing overtakes anything.

use super::{Outbox, PAUSE, watchers::Watchers};
use crate::{frame::ServerFrame, positions::deadline, time::Time};
use axum::extract::ws::Utf8Bytes;
use events::{Envelope, Event, EventLog, Partition, Position, PresenceEvent, UserId, Vector, log::Subscription};
use futures_util::FutureExt;
use query::{Error, View, Views};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::sleep,
};

const BATCH: usize = 500;
/// Looks that are asked for at once.
const MOST: usize = 5_000;

/// Where sockets say whom they watch.
pub(super) struct Watching(UnboundedSender<Request>);

enum Request {
    Watch { socket: u64, reader: UserId, user_ids: Vec<UserId>, outbox: Arc<Outbox> },
    Leave { socket: u64 },
    Reconsider { user_id: UserId, position: Position },
}

struct Watch {
    log: EventLog,
    views: Views,
    requests: UnboundedReceiver<Request>,
    watchers: Watchers,
    outboxes: HashMap<u64, Arc<Outbox>>,
    /// How far the views have to have come.
    present: Vector,
    directory: Vector,
}

impl Watching {
    /// The door, and what answers behind it.
    pub(super) fn new(log: EventLog, views: Views) -> (Self, impl Future<Output = ()>) {
        let (sender, requests) = unbounded_channel();
        let watch = Watch {
            log,
            views,
            requests,
            watchers: Watchers::default(),
            outboxes: HashMap::new(),
            present: Vector::default(),
            directory: Vector::default(),
        };
        (Self(sender), watch.run())
    }

    /// A socket watches those and nobody else.
    pub(super) fn watch(&self, socket: u64, reader: UserId, user_ids: Vec<UserId>, outbox: Arc<Outbox>) {
        self.request(Request::Watch { socket, reader, user_ids, outbox });
    }

    pub(super) fn leave(&self, socket: u64) {
        self.request(Request::Leave { socket });
    }

    /// Who may see somebody has changed by the fact at that position.
    pub(super) fn reconsider(&self, user_id: UserId, position: Position) {
        self.request(Request::Reconsider { user_id, position });
    }

    fn request(&self, request: Request) {
        // A node that stops tells nobody any more.
        self.0.send(request).ok();
    }
}

impl Watch {
    async fn run(mut self) {
        let after = loop {
            match self.log.end_of(Partition::PRESENCE).await {
                Ok(end) => break end,
                Err(error) => tracing::warn!(%error, "where presence has come to is not known yet"),
            }
            sleep(PAUSE).await;
        };
        self.present.set(Partition::PRESENCE, after);
        let mut facts = self.log.subscribe(Partition::PRESENCE, after);
        loop {
            if !self.watchers.is_anything_due() {
                tokio::select! {
                    Some(request) = self.requests.recv() => self.take_request(request),
                    batch = facts.next_batch(BATCH) => self.take_facts(&batch),
                }
            }
            self.take_at_hand(&mut facts);
            if let Err(error) = self.tell().await {
                tracing::warn!(%error, "whose presence has changed is not told yet");
                sleep(PAUSE).await;
            }
        }
    }

    fn take_at_hand(&mut self, facts: &mut Subscription) {
        while let Ok(request) = self.requests.try_recv() {
            self.take_request(request);
        }
        if let Some(batch) = facts.next_batch(BATCH).now_or_never() {
            self.take_facts(&batch);
        }
    }

    fn take_request(&mut self, request: Request) {
        match request {
            Request::Watch { socket, reader, user_ids, outbox } => {
                self.watchers.watch(socket, reader, user_ids);
                self.outboxes.insert(socket, outbox);
            }
            Request::Leave { socket } => {
                self.watchers.leave(socket);
                self.outboxes.remove(&socket);
            }
            Request::Reconsider { user_id, position } => {
                if self.watchers.look_again(user_id) {
                    self.directory.raise(position);
                }
            }
        }
    }

    fn take_facts(&mut self, batch: &[Arc<Envelope>]) {
        for fact in batch {
            self.present.raise(fact.position);
            self.take_fact(&fact.event);
        }
    }

    fn take_fact(&mut self, event: &Event) {
        match event {
            Event::Presence(PresenceEvent::PresenceChanged { came, went }) => {
                for user_id in came.iter().chain(went) {
                    self.watchers.look_again(*user_id);
                }
            }
            // Who was connected to it, the view knows.
            Event::Presence(PresenceEvent::GatewayLost {}) => self.watchers.look_at_all_online(),
            Event::User(_) | Event::Thread(_) | Event::Receipts(_) | Event::Deployment(_) => {}
        }
    }

    /// Takes some of the looks that are due. What fails stays due.
    async fn tell(&mut self) -> Result<(), Error> {
        let looks = self.watchers.due(MOST);
        if looks.is_empty() {
            return Ok(());
        }
        let deadline = deadline();
        self.views.reached(View::Presence, &self.present, deadline).await?;
        self.views.reached(View::Directory, &self.directory, deadline).await?;
        let pairs: BTreeSet<_> = looks.iter().map(|(_, reader, user_id)| (*reader, *user_id)).collect();
        let answer = self.views.presence(&pairs.into_iter().collect::<Vec<_>>()).await?;
        if !answer.value.present_as_of.covers(&self.present) || !answer.as_of.covers(&self.directory) {
            return Err(Error::Unavailable("a view was built anew, and is not as far as it was".into()));
        }
        let (mut frames, mut encoded): (HashMap<u64, Vec<_>>, HashMap<_, Utf8Bytes>) = Default::default();
        for look in looks {
            let (socket, reader, user_id) = look;
            let shown = answer.value.shown(reader, user_id);
            if self.watchers.is_news(look, shown) {
                let (online, last_seen) = (shown.online, shown.last_seen.map(Time));
                let encode = || ServerFrame::Presence { user_id, online, last_seen }.encode();
                let frame = encoded.entry((user_id, shown)).or_insert_with(encode);
                frames.entry(socket).or_default().push(frame.clone());
            }
        }
        for (socket, frames) in frames {
            if let Some(outbox) = self.outboxes.get(&socket) {
                outbox.push_run(frames);
            }
        }
        Ok(())
    }
}

//! One who only hears what others write, and when.

use super::{
    load::{Phase, Shared},
    talker::Outcome,
};
use crate::bench::{histogram::Histogram, people::Person, scan::Stamp, socket::Socket};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};
use tokio::sync::watch;

pub(in crate::bench) struct Listener {
    person: usize,
    socket: Socket,
    shared: Arc<Shared>,
    delivery: Histogram,
}

impl Listener {
    /// Opens the socket of a person, and is live.
    pub(in crate::bench) async fn connect(
        index: usize,
        person: &Person,
        address: SocketAddr,
        shared: Arc<Shared>,
    ) -> anyhow::Result<Self> {
        let socket = Socket::hello(address, &person.access_token, None).await?;
        Ok(Self { person: index, socket, shared, delivery: Histogram::default() })
    }

    pub(super) async fn run(mut self, mut phases: watch::Receiver<Phase>) -> Outcome {
        let mut faults = Vec::new();
        if let Err(error) = self.listen(&mut phases).await {
            faults.push(format!("person {}: {error:#}", self.person));
            self.shared.counters.broken.fetch_add(1, Ordering::Relaxed);
        }
        let Self { person, socket, delivery, .. } = self;
        let (ack, refusals) = (Histogram::default(), BTreeMap::new());
        Outcome { person, told: socket.told, ack, delivery, refusals, faults }
    }

    async fn listen(&mut self, phases: &mut watch::Receiver<Phase>) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                sent = self.socket.sent() => {
                    sent?;
                    self.hear()?;
                }
                changed = phases.changed() => {
                    changed?;
                    if *phases.borrow_and_update() == Phase::End {
                        return self.socket.finish().await;
                    }
                }
            }
        }
    }

    fn hear(&mut self) -> anyhow::Result<()> {
        let Self { socket, shared, delivery, .. } = self;
        let (now, mut delivered, mut strange) = (shared.origin.micros(), 0, false);
        socket.hear(|told| match Stamp::read(told.body) {
            Some(Stamp { due, .. }) => {
                delivered += 1;
                if shared.counters.is_measured(due) {
                    delivery.record(now.saturating_sub(due));
                }
            }
            None => strange = true,
        })?;
        anyhow::ensure!(!strange, "a message that the bench did not write");
        shared.counters.delivered.fetch_add(delivered, Ordering::Relaxed);
        Ok(())
    }
}

//! One reading of the log for all views of a rebuild: each partition is read and
//! decoded in a task of its own, off the path of those who write. The slowest
//! view sets the speed, and so does the pace that is asked for.

use super::Pace;
use crate::{
    generation::Generation,
    source::{Facts, Source},
};
use events::{EventLog, Partition};
use std::collections::BTreeMap;
use tokio::{
    sync::mpsc::{Sender, channel},
    task::JoinSet,
};

const BATCH: usize = 1_000;
/// Facts that are asked for at once where nobody minds.
const WINDOW: usize = 5_000;
/// Batches that a view may be behind the reading.
const AHEAD: usize = 16;

/// The reading; it ends when it is dropped, or all who listened are gone.
pub(super) struct Feed {
    _tasks: JoinSet<()>,
}

impl Feed {
    /// Reads on from where the first of the generations is. Gives each of them its sources.
    pub(super) fn start(log: &EventLog, generations: &[Generation], pace: &Pace) -> (Self, Vec<Vec<Source>>) {
        let mut wanted: BTreeMap<Partition, (u64, Vec<Sender<Facts>>)> = BTreeMap::new();
        let mut listen = |(partition, sequence): (Partition, u64)| {
            let (sender, receiver) = channel(AHEAD);
            let (from, senders) = wanted.entry(partition).or_insert((sequence, Vec::new()));
            *from = sequence.min(*from);
            senders.push(sender);
            Source::shared(partition, receiver, sequence)
        };
        let mut sources = Vec::new();
        for generation in generations {
            sources.push(
                generation.checkpoint.iter().map(|(partition, mark)| listen((partition, mark.sequence))).collect(),
            );
        }
        let mut tasks = JoinSet::new();
        for (partition, (after, senders)) in wanted {
            tasks.spawn(read(log.clone(), partition, after, senders, pace.clone()));
        }
        (Self { _tasks: tasks }, sources)
    }
}

async fn read(log: EventLog, partition: Partition, after: u64, mut senders: Vec<Sender<Facts>>, pace: Pace) {
    let mut subscription = log.subscribe(partition, after).in_windows_of(pace.portion(WINDOW));
    while !senders.is_empty() {
        let facts: Facts = subscription.next_batch(pace.portion(BATCH)).await.into();
        let views = senders.len();
        for index in (0..views).rev() {
            pace.take(facts.len(), views).await;
            if senders[index].send(Facts::clone(&facts)).await.is_err() {
                senders.swap_remove(index);
            }
        }
    }
}

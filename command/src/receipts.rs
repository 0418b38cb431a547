//! Receipts commute, so they need no expectation and come coalesced: one fact
//! for a partition and a quarter of a second, however many people read.

use events::{
    Aggregate, Clock, EventId, EventLog, Ids, Position, ThreadId, UserId,
    envelope::Draft,
    event::{Number, Receipt, ReceiptEvent},
    log::{AppendError, LogError},
};
use quick_cache::sync::Cache;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

/// How long receipts are collected.
const WINDOW: Duration = Duration::from_millis(250);
/// The most receipts in one fact: about 64 KiB.
const MOST: usize = 500;
const WAITING: usize = 4_096;
/// The watermarks that a node remembers for each partition, about 100 bytes each: what does not rise is not told again.
const REMEMBERED: usize = 20_000;

type Answer = oneshot::Sender<Result<Position, Arc<AppendError>>>;

/// Where watermarks are handed in. Cheap to clone.
#[derive(Clone)]
pub struct Receipts {
    log: EventLog,
    partitions: Arc<[mpsc::Sender<(Receipt, Answer)>]>,
}

impl Receipts {
    /// Starts a collector for each partition; they end with the last clone.
    #[expect(clippy::disallowed_methods, reason = "the collectors end with the senders they listen to")]
    pub(crate) fn start(log: EventLog, clock: &Clock, ids: &Ids) -> Self {
        let start = |partition| {
            let (sender, waiting) = mpsc::channel(WAITING);
            let furthest = Furthest::new(REMEMBERED);
            let collector = Collector { log: log.clone(), clock: clock.clone(), ids: ids.clone(), waiting, furthest };
            tokio::spawn(collector.run(Aggregate::Receipts(partition)));
            sender
        };
        let partitions = log.names().partitions().map(start).collect();
        Self { log, partitions }
    }

    /// Hands watermarks in and waits until they are in the log.
    pub(crate) async fn advance(&self, receipt: Receipt) -> Result<Position, LogError> {
        let partition = self.log.names().partition(receipt.thread_id.uuid());
        let (answer, answered) = oneshot::channel();
        let ended = || LogError::Unavailable("receipts are not collected any more".into());
        self.partitions[usize::from(partition.0)].send((receipt, answer)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?.map_err(|error| LogError::Unavailable(error.into()))
    }
}

/// How far a receipt has come, and where that lies.
type Furthest = Cache<(ThreadId, UserId), (Number, Number, Position)>;

struct Collector {
    log: EventLog,
    clock: Clock,
    ids: Ids,
    waiting: mpsc::Receiver<(Receipt, Answer)>,
    furthest: Furthest,
}

impl Collector {
    async fn run(mut self, aggregate: Aggregate) {
        let mut collected = Vec::with_capacity(MOST);
        while let Some(first) = self.waiting.recv().await {
            collected.push(first);
            if self.waiting.len() < MOST - 1 {
                sleep(WINDOW).await;
            }
            while collected.len() < MOST {
                let Ok(next) = self.waiting.try_recv() else { break };
                collected.push(next);
            }
            let (mut rising, mut answers) = (Vec::new(), Vec::new());
            for (receipt, answer) in collected.drain(..) {
                match self.raised(receipt) {
                    Ok(receipt) => {
                        rising.push(receipt);
                        answers.push(answer);
                    }
                    // Who asked may have gone.
                    Err(position) => _ = answer.send(Ok(position)),
                }
            }
            if rising.is_empty() {
                continue;
            }
            let receipts = coalesce(rising);
            let outcome = self.append(aggregate, receipts.clone()).await.map_err(Arc::new);
            if let Ok(position) = outcome {
                for Receipt { thread_id, user_id, delivered, read } in receipts {
                    self.furthest.insert((thread_id, user_id), (delivered, read, position));
                }
            }
            for answer in answers {
                answer.send(outcome.clone()).ok();
            }
        }
    }

    /// The receipt at no less than what was told before; where it is no more than that, where that lies.
    fn raised(&self, receipt: Receipt) -> Result<Receipt, Position> {
        let Receipt { thread_id, user_id, .. } = receipt;
        let Some((delivered, read, position)) = self.furthest.get(&(thread_id, user_id)) else { return Ok(receipt) };
        let raised = Receipt { delivered: receipt.delivered.max(delivered), read: receipt.read.max(read), ..receipt };
        if (raised.delivered, raised.read) == (delivered, read) { Err(position) } else { Ok(raised) }
    }

    async fn append(&self, aggregate: Aggregate, receipts: Vec<Receipt>) -> Result<Position, AppendError> {
        let draft = Draft {
            aggregate,
            id: EventId::from_uuid(self.ids.next()),
            by: None,
            at: self.clock.now(),
            event: ReceiptEvent::ReceiptsAdvanced { receipts }.into(),
        };
        self.log.append(&draft, None).await
    }
}

/// One receipt for each person and thread, at the furthest of their watermarks.
fn coalesce(receipts: Vec<Receipt>) -> Vec<Receipt> {
    let mut furthest: BTreeMap<(ThreadId, UserId), (Number, Number)> = BTreeMap::new();
    for Receipt { thread_id, user_id, delivered, read } in receipts {
        let watermarks = furthest.entry((thread_id, user_id)).or_default();
        *watermarks = (watermarks.0.max(delivered), watermarks.1.max(read));
    }
    let receipt = |((thread_id, user_id), (delivered, read))| Receipt { thread_id, user_id, delivered, read };
    furthest.into_iter().map(receipt).collect()
}

//! Who pushes: one node at a time. The record of how far it has come is its lease
//! as well, and each change of it a compare-and-set; whoever sees it unchanged for
//! its term, by their own clock, takes over.

use events::{
    EventLog, Vector,
    log::{Bucket, BucketError, Entry},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, sleep},
};
use uuid::Uuid;

const KEY: &str = "progress";
const LOOK: Duration = Duration::from_secs(1);
/// Who did not look for longer does not know who was away.
const BLIND: Duration = Duration::from_secs(5);
const RENEW: Duration = Duration::from_secs(3);
/// A lead that was not renewed for so long is lost: an election of NATS takes up to 9 s.
const TERM: Duration = Duration::from_secs(12);
/// Who could not renew for so long does nothing until they have.
const SURE: Duration = Duration::from_secs(9);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// Of the log: in another one the sequences mean something else.
    epoch: Uuid,
    /// Who pushes; `None`: whoever comes first.
    holder: Option<Uuid>,
    /// Facts up to here were seen to, or are in letters.
    reached: Vector,
    /// The last look whose letters count.
    window: u64,
}

/// The lead, held.
pub(super) struct Lead {
    id: Uuid,
    /// The last look of those who had it before.
    base: u64,
    bucket: Bucket,
    record: Mutex<(Record, u64)>,
    /// What others than the one who looks need to know: the last window, and when the record was last kept.
    kept: watch::Sender<(u64, Instant)>,
}

/// Makes the record where there is none, or only one of another log: what lies before it is not pushed.
pub(super) async fn begin(log: &EventLog, bucket: &Bucket) -> Result<(), BucketError> {
    let entry = bucket.get(KEY).await?;
    if entry.as_ref().and_then(parse).is_some_and(|record| record.epoch == log.epoch()) {
        return Ok(());
    }
    let reached = log.end().await.map_err(|error| BucketError::Unavailable(error.into()))?;
    let record = bytes(&Record { epoch: log.epoch(), holder: None, reached, window: 0 });
    match entry {
        Some(entry) => bucket.update(KEY, record.into(), entry.revision).await.map(drop),
        None => bucket.create(KEY, record.into()).await.map(drop),
    }
}

impl Lead {
    /// Waits until nobody but `holder` has the lead, and takes it under that id.
    pub(super) async fn take(bucket: &Bucket, holder: Uuid, id: Uuid) -> Self {
        let (mut seen, mut since, mut looked) = (0, Instant::now(), Instant::now());
        loop {
            match bucket.get(KEY).await {
                Ok(Some(entry)) => {
                    if entry.revision != seen || looked.elapsed() > BLIND {
                        (seen, since) = (entry.revision, Instant::now());
                    }
                    looked = Instant::now();
                    match claim(bucket, &entry, holder, since.elapsed() >= TERM).await {
                        Ok((record, revision)) => {
                            let base = record.window;
                            let kept = watch::Sender::new((base, Instant::now()));
                            let record = Mutex::new((record, revision));
                            return Self { id, base, bucket: bucket.clone(), record, kept };
                        }
                        Err(BucketError::Conflict) => {}
                        Err(error) => tracing::warn!(%error, "pushing cannot begin yet"),
                    }
                }
                Ok(None) => tracing::error!("the record of who pushes is gone"),
                Err(error) => tracing::warn!(%error, "it is not known who pushes"),
            }
            sleep(LOOK).await;
        }
    }

    /// Keeps the lead for as long as nobody else has taken it.
    pub(super) async fn renew(&self) -> BucketError {
        loop {
            sleep(RENEW).await;
            match self.keep(|_| {}).await {
                Err(BucketError::Conflict) => return BucketError::Conflict,
                Err(error) => tracing::warn!(%error, "the lead in pushing is not renewed yet"),
                Ok(()) => {}
            }
        }
    }

    /// From now on the letters of that look count, and its facts are done with.
    pub(super) async fn commit(&self, reached: Vector, window: u64) -> Result<(), BucketError> {
        self.keep(|record| (record.reached, record.window) = (reached, window)).await
    }

    /// Somebody else may begin at once.
    pub(super) async fn release(&self) -> Result<(), BucketError> {
        self.keep(|record| record.holder = None).await
    }

    async fn keep(&self, change: impl FnOnce(&mut Record)) -> Result<(), BucketError> {
        let mut held = self.record.lock().await;
        let mut record = held.0.clone();
        change(&mut record);
        let began = Instant::now();
        let revision = self.bucket.update(KEY, bytes(&record).into(), held.1).await?;
        self.kept.send_replace((record.window, began));
        *held = (record, revision);
        Ok(())
    }

    /// Of this time of holding it.
    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// Whether letters of that look may be posted by now: 0 is for those that an operator sends again.
    pub(super) fn counts(&self, lead: Uuid, window: u64) -> bool {
        window <= if lead == self.id { self.kept.borrow().0 } else { self.base }
    }

    pub(super) async fn reached(&self) -> Vector {
        self.record.lock().await.0.reached.clone()
    }

    /// The last look whose letters count; a change of it wakes whoever waits for one.
    pub(super) fn kept(&self) -> watch::Receiver<(u64, Instant)> {
        self.kept.subscribe()
    }

    /// Whether nobody else can have it.
    pub(super) fn is_sure(&self) -> bool {
        self.kept.borrow().1.elapsed() < SURE
    }
}

async fn claim(bucket: &Bucket, entry: &Entry, holder: Uuid, lapsed: bool) -> Result<(Record, u64), BucketError> {
    let Some(record) = parse(entry) else {
        return Err(BucketError::Unavailable("the record of who pushes cannot be read".into()));
    };
    if record.holder.is_some_and(|other| other != holder) && !lapsed {
        return Err(BucketError::Conflict);
    }
    let record = Record { holder: Some(holder), ..record };
    let revision = bucket.update(KEY, bytes(&record).into(), entry.revision).await?;
    Ok((record, revision))
}

fn parse(entry: &Entry) -> Option<Record> {
    serde_json::from_slice(&entry.value).ok()
}

fn bytes(record: &Record) -> Vec<u8> {
    serde_json::to_vec(record).expect("a record is plain data")
}

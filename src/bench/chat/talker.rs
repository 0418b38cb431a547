//! One person: a connection that writes, and checks all that it is told: numbers
//! without gaps, each message of its own once and as acknowledged. What all say
//! of a conversation is compared by one digest, so that memory stays small.

use super::load::{InLog, Phase, Shared};
use crate::bench::{
    Options,
    histogram::Histogram,
    people::Person,
    scan::{Stamp, Told, number, position},
    transcript::Transcript,
    wire::{Frame, Wire, closed, first},
};
use anyhow::{Context, bail, ensure};
use events::Ids;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::{mpsc::UnboundedReceiver, watch},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(20);
/// Further behind than this, an open loop says nothing any more.
const MOST_UNDER_WAY: usize = 20_000;
const MOST_FAULTS: usize = 3;

pub(in crate::bench) struct Talker {
    person: usize,
    user_id: String,
    thread_id: String,
    wire: Wire,
    window: usize,
    /// How many messages it still writes, at most.
    left: usize,
    body: usize,
    ids: Ids,
    shared: Arc<Shared>,
    /// The index of the first message under way.
    base: u32,
    under_way: VecDeque<Slot>,
    /// Refused ones may be in the log all the same, and be told later.
    unsettled: BTreeSet<u32>,
    told: Transcript,
    acknowledged: Vec<InLog>,
    ack: Histogram,
    delivery: Histogram,
    refusals: BTreeMap<String, u64>,
    faults: Vec<String>,
    ended: bool,
}

/// A message of one's own: its number, as soon as it was acknowledged and as soon as it was told.
#[derive(Debug, Clone, Copy)]
struct Slot {
    due: u64,
    acknowledged: Option<u64>,
    told: Option<u64>,
}

/// What a person has seen.
pub(in crate::bench) struct Outcome {
    pub(in crate::bench) person: usize,
    pub(in crate::bench) told: Transcript,
    pub(in crate::bench) ack: Histogram,
    pub(in crate::bench) delivery: Histogram,
    pub(in crate::bench) refusals: BTreeMap<String, u64>,
    pub(in crate::bench) faults: Vec<String>,
}

impl Talker {
    /// Opens the socket of a person, and is live.
    pub(super) async fn connect(
        index: usize,
        person: &Person,
        address: SocketAddr,
        options: &Options,
        shared: Arc<Shared>,
    ) -> anyhow::Result<Self> {
        let mut wire = Wire::open(address).await?;
        wire.say(|out| out.extend(format!(r#"{{"type":"hello","token":"{}"}}"#, person.access_token).bytes()));
        let mut talker = Self {
            person: index,
            user_id: person.user_id.clone(),
            thread_id: person.thread_id.clone(),
            wire,
            window: usize::try_from(options.window)?,
            left: usize::MAX,
            body: usize::from(options.body),
            ids: Ids::random(),
            shared,
            base: 0,
            under_way: VecDeque::new(),
            unsettled: BTreeSet::new(),
            told: Transcript::default(),
            acknowledged: Vec::new(),
            ack: Histogram::default(),
            delivery: Histogram::default(),
            refusals: BTreeMap::new(),
            faults: Vec::new(),
            ended: false,
        };
        timeout(PATIENCE, talker.until(b"live")).await.context("a socket did not go live in time")??;
        Ok(talker)
    }

    /// Writes no more than so many messages.
    pub(in crate::bench) fn at_most(self, messages: usize) -> Self {
        Self { left: messages, ..self }
    }

    pub(super) async fn run(
        mut self,
        mut phases: watch::Receiver<Phase>,
        mut dues: Option<UnboundedReceiver<u64>>,
    ) -> Outcome {
        if let Err(error) = self.talk(&mut phases, &mut dues).await {
            self.fault(&format!("{error:#}"));
            self.shared.counters.broken.fetch_add(1, Ordering::Relaxed);
        }
        let Self { person, told, ack, delivery, refusals, faults, .. } = self;
        Outcome { person, told, ack, delivery, refusals, faults }
    }

    async fn talk(
        &mut self,
        phases: &mut watch::Receiver<Phase>,
        dues: &mut Option<UnboundedReceiver<u64>>,
    ) -> anyhow::Result<()> {
        let mut phase = Phase::Wait;
        loop {
            if phase == Phase::Write && dues.is_none() {
                let room = self.window.saturating_sub(self.under_way.len()).min(self.left);
                if room > 0 && self.may_write(phases, room) {
                    self.left -= room;
                    let now = self.shared.origin.micros();
                    (0..room).for_each(|_| self.write(now));
                }
            }
            self.wire.flush()?;
            let due = async {
                match dues {
                    Some(dues) => dues.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                ready = self.wire.ready() => if ready?.is_readable() {
                    self.hear()?;
                },
                Some(due) = due => {
                    if self.may_write(phases, 1) {
                        self.write(due);
                    }
                    ensure!(self.under_way.len() < MOST_UNDER_WAY, "{MOST_UNDER_WAY} messages are not answered");
                },
                changed = phases.changed() => {
                    changed?;
                    phase = *phases.borrow_and_update();
                    if phase == Phase::End {
                        // The pong says that all has been sent; a duplicate would come before it.
                        self.wire.say(|out| out.extend_from_slice(br#"{"type":"ping"}"#));
                        return timeout(PATIENCE, self.until(b"pong")).await.context("no pong in time")?;
                    }
                },
            }
        }
    }

    /// Goes on until a frame of that kind.
    async fn until(&mut self, kind: &'static [u8]) -> anyhow::Result<()> {
        while !self.ended {
            self.wire.flush()?;
            if self.wire.ready().await?.is_readable() {
                self.hear_until(Some(kind))?;
            }
        }
        self.ended = false;
        Ok(())
    }

    /// Counts so many more while the phase cannot end: who ends it sees all that was begun in it.
    fn may_write(&self, phases: &watch::Receiver<Phase>, messages: usize) -> bool {
        let phase = phases.borrow();
        let may = *phase == Phase::Write;
        if may {
            self.shared.counters.sent.fetch_add(messages as u64, Ordering::Relaxed);
        }
        may
    }

    fn write(&mut self, due: u64) {
        let index = self.base + u32::try_from(self.under_way.len()).expect("few are under way");
        self.under_way.push_back(Slot { due, acknowledged: None, told: None });
        let key = self.ids.next();
        let (thread_id, body) = (&self.thread_id, self.body);
        self.wire.say(|out| {
            out.extend_from_slice(br#"{"type":"send","id":"#);
            out.extend_from_slice(index.to_string().as_bytes());
            out.extend_from_slice(br#","thread_id":""#);
            out.extend_from_slice(thread_id.as_bytes());
            out.extend_from_slice(br#"","key":""#);
            out.extend_from_slice(key.as_hyphenated().encode_lower(&mut [0; 36]).as_bytes());
            out.extend_from_slice(br#"","body":""#);
            Stamp { due, index }.write(body, out);
            out.extend_from_slice(br#""}"#);
        });
    }

    fn hear(&mut self) -> anyhow::Result<()> {
        self.hear_until(None)
    }

    fn hear_until(&mut self, kind: Option<&[u8]>) -> anyhow::Result<()> {
        self.wire.read()?;
        let now = self.shared.origin.micros();
        let input = self.wire.take();
        let (mut at, mut delivered) = (0, 0);
        while let Some((frame, length)) = first(&input[at..])? {
            at += length;
            match frame {
                Frame::Text(text) => {
                    let told = Told::read(text);
                    match told.kind {
                        b"message" => delivered += u64::from(self.message(&told, now)?),
                        b"ack" => self.acknowledgement(&told, now)?,
                        b"error" => self.refusal(&told, text)?,
                        other => self.ended |= kind == Some(other),
                    }
                }
                Frame::Ping(payload) => self.wire.pong(payload),
                Frame::Close(payload) => bail!("herald closed the socket: {}", closed(payload)),
                Frame::Pong => {}
            }
        }
        self.wire.handled(input, at);
        let counters = &self.shared.counters;
        if delivered > 0 {
            counters.delivered.fetch_add(delivered, Ordering::Relaxed);
        }
        if !self.acknowledged.is_empty() {
            counters.acknowledged.fetch_add(u64::try_from(self.acknowledged.len())?, Ordering::Relaxed);
            self.shared.is_in_log(&mut self.acknowledged);
        }
        Ok(())
    }

    /// Whether it was written by the other.
    fn message(&mut self, told: &Told<'_>, now: u64) -> anyhow::Result<bool> {
        let number = number(told.number).context("a message without a number")?;
        let Stamp { due, index } = Stamp::read(told.body).context("a message that the bench did not write")?;
        if told.thread_id != self.thread_id.as_bytes() {
            self.fault(&format!("message {number} of another conversation"));
        }
        let last = self.told.last_number;
        if self.told.messages > 0 && number != last + 1 {
            self.fault(&format!("message {number} came after message {last}"));
        }
        self.told.add(number, told.key, told.sender_id, told.body);
        self.told.at(told.position);
        if told.sender_id != self.user_id.as_bytes() {
            if self.shared.counters.is_measured(due) {
                self.delivery.record(now.saturating_sub(due));
            }
            return Ok(true);
        }
        if let Some(slot) = self.slot(index).filter(|slot| slot.told.is_none()) {
            slot.told = Some(number);
        } else if !self.unsettled.remove(&index) {
            self.fault(&format!("message {number} is one that was told before"));
        }
        self.settle();
        Ok(false)
    }

    fn acknowledgement(&mut self, told: &Told<'_>, now: u64) -> anyhow::Result<()> {
        let index = u32::try_from(number(told.id).context("an ack of nothing")?)?;
        let (partition, sequence) = position(told.position).context("an ack without a position")?;
        let number = number(told.number).context("an ack without a number")?;
        let slot = self.slot(index).filter(|slot| slot.acknowledged.is_none());
        let due = slot.context("an ack of what was settled before")?.due;
        if let Some(slot) = self.slot(index) {
            slot.acknowledged = Some(number);
        }
        self.acknowledged.push(InLog { partition, sequence, due });
        if self.shared.counters.is_measured(due) {
            self.ack.record(now.saturating_sub(due));
        }
        self.settle();
        Ok(())
    }

    fn refusal(&mut self, told: &Told<'_>, text: &[u8]) -> anyhow::Result<()> {
        let index = u32::try_from(number(told.id).context("a refusal of nothing")?)?;
        let frame: serde_json::Value = serde_json::from_slice(text)?;
        let problem = frame["problem"]["type"].as_str().unwrap_or("unknown").to_owned();
        *self.refusals.entry(problem).or_default() += 1;
        self.shared.counters.refused.fetch_add(1, Ordering::Relaxed);
        let slot = self.slot(index).context("a refusal of what was settled before")?;
        let told = slot.told.is_some();
        // Its place is kept until its turn comes, and counts as settled.
        (slot.acknowledged, slot.told) = (Some(0), Some(0));
        if !told {
            self.unsettled.insert(index);
        }
        self.settle();
        Ok(())
    }

    fn slot(&mut self, index: u32) -> Option<&mut Slot> {
        self.under_way.get_mut(usize::try_from(index.checked_sub(self.base)?).ok()?)
    }

    /// Takes off the front what was acknowledged and told.
    fn settle(&mut self) {
        while let Some(Slot { acknowledged: Some(acknowledged), told: Some(told), .. }) =
            self.under_way.front().copied()
        {
            if acknowledged != told {
                self.fault(&format!("message {told} was acknowledged as {acknowledged}"));
            }
            self.under_way.pop_front();
            self.base += 1;
        }
    }

    fn fault(&mut self, what: &str) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(format!("person {}: {what}", self.person));
        }
    }
}

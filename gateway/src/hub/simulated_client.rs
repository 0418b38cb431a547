//! A client as the contract asks for it: it keeps one vector, raised by each
//! frame that it has processed, and notes what it was told, and where that lies.

use super::{
    attaching::Missed,
    outbox::Outbox,
    simulated_log::{Heard, PEOPLE},
    state::SeatId,
};
use events::{Partition, Position, Vector};
use serde_json::Value;
use std::{collections::VecDeque, sync::Arc};

/// What a client keeps across its connections.
pub(super) struct Client {
    pub(super) person: u8,
    pub(super) vector: Option<Vector>,
    /// From where on it must be told everything: when it first came, or was last told to reload.
    pub(super) since: Vector,
    received: Vec<(u16, u64, String)>,
    /// Frames without a position belong to the one that follows.
    pending: Vec<String>,
    pub(super) in_flight: VecDeque<Value>,
    pub(super) connection: Option<Connection>,
}

pub(super) struct Connection {
    pub(super) node: usize,
    pub(super) seat: SeatId,
    pub(super) outbox: Arc<Outbox>,
    pub(super) entered: Vector,
    pub(super) gathered: Option<Missed>,
    pub(super) live: bool,
}

impl Client {
    pub(super) fn numbered(index: usize) -> Self {
        Self {
            person: u8::try_from(index).unwrap() % PEOPLE,
            vector: None,
            since: Vector::default(),
            received: Vec::new(),
            pending: Vec::new(),
            in_flight: VecDeque::new(),
            connection: None,
        }
    }

    pub(super) fn process(&mut self, frame: &Value) {
        let vector = || frame["vector"].as_str().unwrap().parse::<Vector>().unwrap();
        match frame["type"].as_str().unwrap() {
            "live" => self.vector = Some(vector()),
            "reset" => {
                self.vector = Some(vector());
                self.since = vector();
            }
            "pong" => {
                let (now, own) = (vector(), self.vector.as_ref().expect("a pong comes after live"));
                assert!(now.covers(own));
                self.vector = Some(now);
            }
            _ => {
                let what = what(frame);
                self.pending.push(what);
                let Some(position) = frame["position"].as_str() else { return };
                let position: Position = position.parse().unwrap();
                let own = self.vector.as_mut().expect("a frame comes after welcome");
                assert!(position.sequence > own.get(position.partition), "{position} again, or out of order");
                own.raise(position);
                let placed = self.pending.drain(..).map(|what| (position.partition.0, position.sequence, what));
                self.received.extend(placed);
            }
        }
    }

    /// Cut off: what is in flight is lost.
    pub(super) fn lose_connection(&mut self) {
        self.connection = None;
        self.in_flight.clear();
        self.pending.clear();
    }

    /// What it was told, each once.
    pub(super) fn received(&self) -> Heard {
        assert_eq!(self.pending, Vec::<String>::new(), "frames that belong to no position");
        let received: Heard = self.received.iter().filter(|place| self.is_new(place)).cloned().collect();
        let count = self.received.iter().filter(|place| self.is_new(place)).count();
        assert_eq!(received.len(), count, "something came twice");
        received
    }

    pub(super) fn is_new(&self, &(partition, sequence, _): &(u16, u64, String)) -> bool {
        sequence > self.since.get(Partition(partition))
    }
}

/// What a frame says, in a few words.
fn what(frame: &Value) -> String {
    let kind = frame["type"].as_str().unwrap();
    let fields: &[&str] = match kind {
        "message" | "message_edited" | "message_deleted" => &["thread_id", "number"],
        "reaction" => &["thread_id", "number", "user_id", "removed"],
        "thread" if frame["change"] == "created" => &["thread_id", "change"],
        "thread" => &["thread_id", "user_id", "change"],
        "receipt" => &["thread_id", "user_id", "delivered", "read"],
        "settings" => &["thread_id"],
        "contact" | "block" => &["user_id", "removed"],
        other => panic!("nobody here is told of {other}"),
    };
    let said = fields.iter().filter_map(|field| match &frame[*field] {
        Value::Null if ["delivered", "read"].contains(field) => Some("0".to_owned()),
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Some(value.to_string()),
    });
    [kind.to_owned()].into_iter().chain(said).collect::<Vec<_>>().join(" ")
}

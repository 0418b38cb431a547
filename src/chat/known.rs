//! What a terminal knows: conversations, how far each has been heard, what people
//! are called, and what is owed to them. Pure: answers and frames fill it.

use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) threads: BTreeMap<Uuid, Thread>,
    pub(super) names: BTreeMap<Uuid, String>,
    /// What was sent from here.
    pub(super) keys: BTreeSet<Uuid>,
    /// Up to which number each conversation was heard.
    heard: BTreeMap<Uuid, u32>,
    /// After which number nothing was shown of a conversation that has not been open yet.
    unseen: BTreeMap<Uuid, u32>,
    owed: BTreeMap<Uuid, Owed>,
}

/// A conversation, as the inbox has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the contract's names")]
pub(super) struct Thread {
    pub(super) thread_id: Uuid,
    title: Option<String>,
    peer: Option<Peer>,
    pub(super) last_number: u32,
    pub(super) read_number: u32,
    pub(super) unread: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Peer {
    user_id: Uuid,
    display_name: String,
}

/// Receipts that are not told yet.
#[derive(Debug, Default)]
struct Owed {
    delivered: u32,
    read: Option<u32>,
}

impl Thread {
    pub(super) fn title(&self) -> &str {
        match (&self.title, &self.peer) {
            (Some(title), _) => title,
            (None, Some(peer)) => &peer.display_name,
            (None, None) => "somebody who is gone",
        }
    }

    pub(super) fn is_group(&self) -> bool {
        self.title.is_some()
    }
}

impl Known {
    /// Takes a conversation in as the inbox has it.
    pub(super) fn put(&mut self, thread: Thread) {
        if let Some(Peer { user_id, display_name }) = thread.peer.clone() {
            self.names.insert(user_id, display_name);
        }
        self.threads.insert(thread.thread_id, thread);
    }

    pub(super) fn rename(&mut self, thread_id: Uuid, title: Option<&str>) {
        if let Some(thread) = self.threads.get_mut(&thread_id) {
            thread.title = title.map(ToOwned::to_owned).or_else(|| thread.title.take());
        }
    }

    /// The one with that title, in whatever case.
    pub(super) fn titled(&self, title: &str) -> Option<Uuid> {
        let title = title.to_lowercase();
        let found = self.threads.values().find(|thread| thread.title().to_lowercase() == title);
        found.map(|thread| thread.thread_id)
    }

    /// Up to which number it was heard; `None`: never.
    pub(super) fn heard(&self, thread_id: Uuid) -> Option<u32> {
        self.heard.get(&thread_id).copied()
    }

    /// Whether a message is heard for the first time.
    pub(super) fn hear(&mut self, thread_id: Uuid, number: u32) -> bool {
        let heard = self.heard.entry(thread_id).or_default();
        let is_new = number > *heard;
        *heard = number.max(*heard);
        is_new
    }

    /// All of it up to there is heard, and nothing after what was read has been shown.
    pub(super) fn pass_over(&mut self, thread: &Thread) {
        self.hear(thread.thread_id, thread.last_number);
        if thread.unread > 0 {
            self.unseen.insert(thread.thread_id, thread.read_number);
        }
    }

    /// After which number it is to be shown, now that it is open for the first time.
    pub(super) fn see(&mut self, thread_id: Uuid) -> Option<u32> {
        self.unseen.remove(&thread_id)
    }

    /// A message has come here, and was read if its conversation is open.
    pub(super) fn owe(&mut self, thread_id: Uuid, number: u32, is_read: bool) {
        let owed = self.owed.entry(thread_id).or_default();
        owed.delivered = owed.delivered.max(number);
        if is_read {
            owed.read = owed.read.max(Some(number));
        }
    }

    /// The receipts that are owed, as frames.
    pub(super) fn receipts(&mut self) -> Vec<Value> {
        let frame = |(thread_id, Owed { delivered, read })| {
            let mut frame = json!({ "type": "receipt", "thread_id": thread_id, "delivered": delivered });
            if let Some(read) = read {
                frame["read"] = json!(read);
            }
            frame
        };
        std::mem::take(&mut self.owed).into_iter().map(frame).collect()
    }

    /// Somebody is not in it any more.
    pub(super) fn forget(&mut self, thread_id: Uuid) {
        self.threads.remove(&thread_id);
        self.unseen.remove(&thread_id);
        self.owed.remove(&thread_id);
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, Thread};
    use serde_json::json;
    use uuid::Uuid;

    const ID: Uuid = Uuid::from_u128(1);

    #[test]
    fn a_message_is_heard_once_however_it_comes() {
        let mut known = Known::default();
        assert_eq!([1, 2, 2, 1, 3].map(|number| known.hear(ID, number)), [true, true, false, false, true]);
        assert_eq!(known.heard(ID), Some(3));
    }

    #[test]
    fn what_was_not_read_before_is_shown_once_its_conversation_is_open() {
        let mut known = Known::default();
        let thread: Thread = serde_json::from_value(
            json!({ "thread_id": ID, "title": "Trip", "last_number": 9, "read_number": 6, "unread": 3 }),
        )
        .unwrap();
        known.put(thread.clone());
        known.pass_over(&thread);
        assert!(!known.hear(ID, 9));
        assert_eq!([known.see(ID), known.see(ID)], [Some(6), None]);
        assert_eq!([known.titled("trip"), known.titled("Tri")], [Some(ID), None]);
    }

    #[test]
    fn receipts_are_told_once_and_together() {
        let mut known = Known::default();
        known.owe(ID, 2, true);
        known.owe(ID, 3, false);
        assert_eq!(known.receipts(), [json!({ "type": "receipt", "thread_id": ID, "delivered": 3, "read": 2 })]);
        assert_eq!(known.receipts(), [json!(null); 0]);
    }
}

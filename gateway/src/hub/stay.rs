//! From where to where somebody hears a thread, and how large it is: what views
//! and the log said of it, joined so that the order of hearing does not matter.

use super::audience::SMALL;
use events::{ThreadId, UserId, event::Number};
use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

/// Somebody's newest stay in a thread: the sequences of their latest joining and of their latest leaving, as far as
/// they are known, 0 where not. Both only grow, and a thread's joinings and leavings alternate: so whatever was heard
/// of them, in whatever order, the larger of each is what is so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stay {
    pub(super) joined: u64,
    /// The thread's last number at the joining: of that message, and of those before it, they hear nothing.
    pub(super) number: Number,
    pub(super) left: u64,
}

impl Stay {
    pub(super) fn with(self, other: Self) -> Self {
        let (joined, number) = (self.joined, self.number).max((other.joined, other.number));
        Self { joined, number, left: self.left.max(other.left) }
    }

    pub(super) fn is_present(self) -> bool {
        self.joined > self.left
    }

    /// Whether what lies at a sequence is heard: from the joining to the leaving, both included.
    pub(super) fn hears(self, sequence: u64) -> bool {
        self.joined != 0 && self.joined <= sequence && (self.is_present() || sequence <= self.left)
    }
}

/// Somebody, and what they hear, as of one moment.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(super) user_id: UserId,
    pub(super) stays: Arc<HashMap<ThreadId, Stay>>,
    /// The threads in which receipts are told to their readers only.
    pub(super) large: Arc<HashSet<ThreadId>>,
}

impl Listener {
    pub(super) fn hears(&self, thread_id: ThreadId, sequence: u64) -> bool {
        self.stays.get(&thread_id).is_some_and(|stay| stay.hears(sequence))
    }

    /// Whether they hear what at that sequence becomes of a message.
    pub(super) fn hears_of(&self, thread_id: ThreadId, number: Number, sequence: u64) -> bool {
        self.stays.get(&thread_id).is_some_and(|stay| stay.hears(sequence) && stay.number < number)
    }

    pub(super) fn hears_receipts_of_others(&self, thread_id: ThreadId) -> bool {
        !self.large.contains(&thread_id)
    }
}

/// The threads of those who are connected.
#[derive(Debug)]
pub(super) struct Rooms {
    open: HashMap<ThreadId, Room>,
    /// Those of a size that is not known.
    of_unknown_size: HashSet<ThreadId>,
    /// Those in which receipts are told to their readers only.
    large: Arc<HashSet<ThreadId>>,
    small: u32,
}

#[derive(Debug, Default)]
struct Room {
    /// Members who are connected, and the thread's last number at their joining.
    present: HashMap<UserId, Number>,
    size: Option<Size>,
}

/// How many members a thread has, connected or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) members: u32,
    /// Up to where comings and goings are counted in; beyond, they are counted as they are dispatched.
    pub(super) counted: u64,
}

impl Default for Rooms {
    fn default() -> Self {
        Self { open: HashMap::new(), of_unknown_size: HashSet::new(), large: Arc::default(), small: SMALL }
    }
}

impl Rooms {
    #[cfg(test)]
    pub(super) fn small_up_to(&mut self, members: u32) {
        self.small = members;
    }

    /// Somebody who is connected is a member, from after that number on.
    pub(super) fn join(&mut self, thread_id: ThreadId, user_id: UserId, number: Number) {
        let room = match self.open.entry(thread_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                self.of_unknown_size.insert(thread_id);
                new.insert(Room::default())
            }
        };
        room.present.insert(user_id, number);
    }

    /// Somebody is no member any more, or not connected; who is the last shuts the door.
    pub(super) fn leave(&mut self, thread_id: ThreadId, user_id: UserId) {
        if let Entry::Occupied(mut known) = self.open.entry(thread_id) {
            known.get_mut().present.remove(&user_id);
            if known.get().present.is_empty() {
                known.remove();
                self.of_unknown_size.remove(&thread_id);
                self.sort(thread_id);
            }
        }
    }

    pub(super) fn present(&self, thread_id: ThreadId) -> impl Iterator<Item = UserId> {
        self.open.get(&thread_id).into_iter().flat_map(|room| room.present.keys().copied())
    }

    /// Those of them who see a message of that number.
    pub(super) fn seeing(&self, thread_id: ThreadId, number: Number) -> impl Iterator<Item = UserId> {
        let present = self.open.get(&thread_id).into_iter().flat_map(|room| &room.present);
        present.filter(move |&(_, &joined)| joined < number).map(|(&user_id, _)| user_id)
    }

    pub(super) fn size(&self, thread_id: ThreadId) -> Option<Size> {
        self.open.get(&thread_id)?.size
    }

    pub(super) fn set_size(&mut self, thread_id: ThreadId, size: Size) {
        if let Some(room) = self.open.get_mut(&thread_id) {
            room.size = Some(size);
            self.of_unknown_size.remove(&thread_id);
            self.sort(thread_id);
        }
    }

    /// Somebody has come or gone at a sequence.
    pub(super) fn count(&mut self, thread_id: ThreadId, sequence: u64, step: i32) {
        let size = self.open.get_mut(&thread_id).and_then(|room| room.size.as_mut());
        if let Some(size) = size.filter(|size| size.counted < sequence) {
            *size = Size { members: size.members.saturating_add_signed(step), counted: sequence };
            self.sort(thread_id);
        }
    }

    /// Whether receipts are told to their readers only.
    pub(super) fn is_large(&self, thread_id: ThreadId) -> bool {
        self.large.contains(&thread_id)
    }

    /// Those in which receipts are told to their readers only, as of now.
    pub(super) fn large(&self) -> Arc<HashSet<ThreadId>> {
        Arc::clone(&self.large)
    }

    /// Puts a thread among the large ones, or not. A size that is not known yet keeps no receipt from anybody.
    fn sort(&mut self, thread_id: ThreadId) {
        let is_large = self.size(thread_id).is_some_and(|size| size.members > self.small);
        if is_large == self.is_large(thread_id) {
            return;
        }
        let large = Arc::make_mut(&mut self.large);
        if is_large {
            large.insert(thread_id)
        } else {
            large.remove(&thread_id)
        };
    }

    pub(super) fn has_unknown_size(&self) -> bool {
        !self.of_unknown_size.is_empty()
    }

    /// The threads whose size somebody has to look up, each with one who may.
    pub(super) fn of_unknown_size(&self) -> Vec<(ThreadId, UserId)> {
        let member = |&thread_id: &ThreadId| self.present(thread_id).next().map(|user_id| (thread_id, user_id));
        self.of_unknown_size.iter().filter_map(member).collect()
    }
}

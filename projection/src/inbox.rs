//! `inbox`: the heads of threads, who is in them, and how far they have got and
//! read. Watermarks rise only, stay within the thread's last number at that
//! sequence, and belong to members; a time moves only with its number.

use crate::projection::Projection;
use events::{
    Aggregate, Attachment, Envelope, Event, Text, ThreadEvent, ThreadId, Timestamp, UserEvent, UserId,
    event::{Number, Receipt, ReceiptEvent, Role},
};
use std::collections::BTreeMap;

/// Rows to add and to change: of each row what it comes to.
///
/// What a receipt comes to depends on the thread's last number. Where the batch has seen it, the
/// receipt is settled here; where not, it is left to the store, to be applied before the rest.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Inbox {
    pub(crate) unsettled: Vec<Unsettled>,
    pub(crate) heads: BTreeMap<ThreadId, Head>,
    pub(crate) members: BTreeMap<(ThreadId, UserId), Member>,
    pub(crate) mentions: BTreeMap<(ThreadId, Number), Mentions>,
    pub(crate) settings: BTreeMap<(UserId, ThreadId), Settings>,
    /// What groups look like, and who says so.
    pub(crate) pictures: BTreeMap<ThreadId, (UserId, Option<Attachment>)>,
}

/// A receipt in a thread whose last number lies in the store, in the order of the log.
#[derive(Debug, PartialEq)]
pub(crate) struct Unsettled {
    pub(crate) receipt: Receipt,
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
}

/// What happened to a thread's head.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Head {
    pub(crate) opened: Option<Opened>,
    pub(crate) title: Option<Text>,
    /// How many more members there are since, or fewer.
    pub(crate) joined: i32,
    /// What became of the message that was last before the batch, if it was that one.
    pub(crate) amended: BTreeMap<Number, Amended>,
    pub(crate) last: Option<Last>,
    /// The thread's last number, where the batch has seen it.
    last_number: Option<Number>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Opened {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) is_group: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Last {
    pub(crate) number: Number,
    pub(crate) sequence: u64,
    pub(crate) sender_id: UserId,
    pub(crate) sent_at: Timestamp,
    pub(crate) now: Amended,
}

/// What a message says now; `None` once it was deleted.
#[derive(Debug, PartialEq)]
pub(crate) struct Amended {
    pub(crate) body: Option<Text>,
    pub(crate) deleted_at: Option<Timestamp>,
}

/// What happened to a membership: a joining, then the rest, then a leaving.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Member {
    pub(crate) joined: Option<Joined>,
    pub(crate) role: Option<Role>,
    pub(crate) delivered: Watermark,
    pub(crate) read: Watermark,
    pub(crate) left_sequence: Option<u64>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Joined {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) number: Number,
    /// The other of a direct thread.
    pub(crate) peer_id: Option<UserId>,
}

/// Everything up to and including a number, since when, and by which fact.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct Watermark {
    pub(crate) number: Number,
    pub(crate) at: Option<Timestamp>,
    pub(crate) sequence: u64,
}

/// Whom a message mentions.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Mentions {
    /// In place of those that the store has.
    pub(crate) replace: bool,
    pub(crate) of: Vec<UserId>,
}

/// How somebody keeps a thread.
#[derive(Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) muted_until: Option<Timestamp>,
    pub(crate) archived: bool,
    pub(crate) pinned: bool,
}

impl Watermark {
    fn raise(&mut self, to: Self) {
        if to.number > self.number {
            *self = to;
        }
    }
}

impl Member {
    fn raise(&mut self, delivered: Number, read: Number, at: Timestamp, sequence: u64) {
        self.delivered.raise(Watermark { number: delivered, at: Some(at), sequence });
        self.read.raise(Watermark { number: read, at: Some(at), sequence });
    }
}

impl Projection for Inbox {
    fn project(&mut self, envelope: &Envelope) {
        match (envelope.aggregate, &envelope.event) {
            (Aggregate::Thread(thread_id), Event::Thread(event)) => self.thread(envelope, thread_id, event),
            (_, Event::Receipts(ReceiptEvent::ReceiptsAdvanced { receipts })) => {
                for receipt in receipts {
                    self.receive(receipt, envelope.at, envelope.position.sequence);
                }
            }
            (
                Aggregate::User(user_id),
                &Event::User(UserEvent::ThreadSettingsChanged { thread_id, muted_until, archived, pinned }),
            ) => _ = self.settings.insert((user_id, thread_id), Settings { muted_until, archived, pinned }),
            (_, Event::Thread(_) | Event::User(_) | Event::Presence(_) | Event::Deployment(_)) => {}
        }
    }

    fn is_empty(&self) -> bool {
        let Self { unsettled, heads, members, mentions, settings, pictures } = self;
        let nobody_moved = unsettled.is_empty() && heads.is_empty() && members.is_empty();
        nobody_moved && mentions.is_empty() && settings.is_empty() && pictures.is_empty()
    }
}

impl Inbox {
    fn thread(&mut self, envelope: &Envelope, thread_id: ThreadId, event: &ThreadEvent) {
        let by = envelope.by.expect("what happens in a thread is done by somebody");
        let (sequence, at) = (envelope.position.sequence, envelope.at);
        match event {
            ThreadEvent::DirectOpened { peer } => self.open_direct(envelope, thread_id, [by, *peer]),
            ThreadEvent::MessageSent { number, body, opens, mentions, key: _, reply_to: _, attachments: _ } => {
                if let Some(peer) = opens {
                    self.open_direct(envelope, thread_id, [by, *peer]);
                }
                let now = Amended { body: Some(body.clone()), deleted_at: None };
                let last = Last { number: *number, sequence, sender_id: by, sent_at: at, now };
                self.head(thread_id, *number).last = Some(last);
                self.members.entry((thread_id, by)).or_default().raise(*number, *number, at, sequence);
                if !mentions.is_empty() {
                    let mentions = Mentions { replace: false, of: mentions.clone() };
                    self.mentions.insert((thread_id, *number), mentions);
                }
            }
            ThreadEvent::MessageEdited { number, body, mentions } => {
                self.amend(thread_id, *number, Amended { body: Some(body.clone()), deleted_at: None }, mentions);
            }
            ThreadEvent::MessageDeleted { number, attachments: _ } => {
                self.amend(thread_id, *number, Amended { body: None, deleted_at: Some(at) }, &[]);
            }
            ThreadEvent::GroupCreated { title, members } => {
                let head = self.head(thread_id, 0);
                head.opened = Some(Opened { sequence, at, is_group: true });
                head.title = Some(title.clone());
                let others = members.iter().map(|user_id| (*user_id, Role::Member));
                for (user_id, role) in others.chain([(by, Role::Owner)]) {
                    self.join(thread_id, user_id, role, Joined { sequence, at, number: 0, peer_id: None });
                }
            }
            ThreadEvent::Renamed { title, number } => self.head(thread_id, *number).title = Some(title.clone()),
            ThreadEvent::PictureChanged { picture, number, replaces: _ } => {
                self.head(thread_id, *number);
                self.pictures.insert(thread_id, (by, picture.clone()));
            }
            ThreadEvent::MemberAdded { user_id, role, number } => {
                self.head(thread_id, *number);
                self.join(thread_id, *user_id, *role, Joined { sequence, at, number: *number, peer_id: None });
            }
            ThreadEvent::MemberRemoved { user_id, number } => self.leave(thread_id, *user_id, *number, sequence),
            ThreadEvent::MemberLeft { number } => self.leave(thread_id, by, *number, sequence),
            ThreadEvent::RoleChanged { user_id, role, number: _ } => {
                self.members.entry((thread_id, *user_id)).or_default().role = Some(*role);
            }
            ThreadEvent::ReactionAdded { .. }
            | ThreadEvent::ReactionRemoved { .. }
            | ThreadEvent::PeerBlocked { .. }
            | ThreadEvent::PeerUnblocked { .. } => {}
        }
    }

    /// The head of a thread whose last number is known with that.
    fn head(&mut self, thread_id: ThreadId, last_number: Number) -> &mut Head {
        let head = self.heads.entry(thread_id).or_default();
        head.last_number = Some(last_number);
        head
    }

    fn open_direct(&mut self, envelope: &Envelope, thread_id: ThreadId, [one, other]: [UserId; 2]) {
        let (sequence, at) = (envelope.position.sequence, envelope.at);
        self.head(thread_id, 0).opened = Some(Opened { sequence, at, is_group: false });
        for (user_id, peer_id) in [(one, other), (other, one)] {
            let peer_id = Some(peer_id);
            self.join(thread_id, user_id, Role::Member, Joined { sequence, at, number: 0, peer_id });
        }
    }

    fn join(&mut self, thread_id: ThreadId, user_id: UserId, role: Role, joined: Joined) {
        self.heads.entry(thread_id).or_default().joined += 1;
        let member = Member { joined: Some(joined), role: Some(role), ..Member::default() };
        self.members.insert((thread_id, user_id), member);
    }

    fn leave(&mut self, thread_id: ThreadId, user_id: UserId, last_number: Number, sequence: u64) {
        self.head(thread_id, last_number).joined -= 1;
        self.members.entry((thread_id, user_id)).or_default().left_sequence = Some(sequence);
    }

    fn amend(&mut self, thread_id: ThreadId, number: Number, now: Amended, mentions: &[UserId]) {
        let head = self.heads.entry(thread_id).or_default();
        match &mut head.last {
            Some(last) if last.number == number => last.now.give_way_to(now),
            Some(_) => {}
            None => match head.amended.get_mut(&number) {
                Some(before) => before.give_way_to(now),
                None => _ = head.amended.insert(number, now),
            },
        }
        self.mentions.insert((thread_id, number), Mentions { replace: true, of: mentions.to_vec() });
    }

    fn receive(&mut self, receipt: &Receipt, at: Timestamp, sequence: u64) {
        let Receipt { thread_id, user_id, delivered, read } = *receipt;
        let delivered = delivered.max(read);
        let head = self.heads.get(&thread_id);
        let member = self.members.get(&(thread_id, user_id));
        let has_left = member.is_some_and(|member| member.left_sequence.is_some());
        // Who is in a thread that was there before the batch, the store knows; it leaves out the others.
        let is_stranger = head.is_some_and(|head| head.opened.is_some()) && member.is_none();
        if has_left || is_stranger {
            return;
        }
        let Some(last) = head.and_then(|head| head.last_number) else {
            let receipt = Receipt { thread_id, user_id, delivered, read };
            self.unsettled.push(Unsettled { receipt, sequence, at });
            return;
        };
        let member = self.members.entry((thread_id, user_id)).or_default();
        member.raise(delivered.min(last), read.min(last), at, sequence);
    }
}

impl Amended {
    /// A deletion is final.
    fn give_way_to(&mut self, now: Self) {
        if self.deleted_at.is_none() {
            *self = now;
        }
    }
}

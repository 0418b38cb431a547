//! A log that people write to, and what is true of it: who is in what thread
//! when, and hence who must hear what. It knows nothing of how the hub does it.

use super::attaching::Joined;
use events::{
    Aggregate, Emoji, Envelope, Event, EventId, MessageKey, Partition, Position, SessionId, Text, ThreadEvent,
    ThreadId, UserEvent, UserId,
    clock::millis,
    event::{Receipt, ReceiptEvent, Role},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use uuid::Uuid;

pub(super) const PARTITIONS: u16 = 2;
pub(super) const PEOPLE: u8 = 5;
pub(super) const GROUPS: u8 = 3;
/// Receipts are told to others in threads of at most that many.
pub(super) const SMALL: u32 = 3;

pub(super) type Sequences = [u64; PARTITIONS as usize];
/// What somebody hears: where it lies, and what it says.
pub(super) type Heard = BTreeSet<(u16, u64, String)>;

pub(super) fn user(index: u8) -> UserId {
    UserId::from_uuid(Uuid::from_u128(u128::from(index) + 1))
}

pub(super) fn session(index: u8) -> SessionId {
    SessionId::from_uuid(Uuid::from_u128(0x1000 + u128::from(index)))
}

pub(super) fn group(index: u8) -> ThreadId {
    ThreadId::from_uuid(Uuid::from_u128(0x2000 + u128::from(index)))
}

pub(super) fn direct(one: u8, other: u8) -> ThreadId {
    ThreadId::direct(user(one), user(other))
}

pub(super) fn partition_of(thread_id: ThreadId) -> u16 {
    u16::try_from(thread_id.uuid().as_u128() % u128::from(PARTITIONS)).unwrap()
}

#[derive(Default)]
pub(super) struct Log {
    pub(super) partitions: [Vec<Arc<Envelope>>; PARTITIONS as usize],
    threads: BTreeMap<ThreadId, Thread>,
}

#[derive(Default)]
struct Thread {
    last_number: u32,
    members: BTreeSet<u8>,
    /// From which sequence to which everybody was a member, oldest first.
    stays: BTreeMap<u8, Vec<(u64, Option<u64>)>>,
    deleted: BTreeSet<u32>,
}

impl Thread {
    fn size(&self, upto: u64) -> u32 {
        let is_in = |&(joined, left): &(u64, Option<u64>)| joined <= upto && left.is_none_or(|left| left > upto);
        let members = self.stays.values().filter(|stays| stays.iter().any(is_in)).count();
        u32::try_from(members).unwrap()
    }

    fn was_ever_large(&self) -> bool {
        let turns = self.stays.values().flatten().flat_map(|&(joined, left)| [Some(joined), left]).flatten();
        turns.into_iter().any(|sequence| self.size(sequence) > SMALL)
    }
}

impl Log {
    pub(super) fn append(&mut self, partition: u16, aggregate: Aggregate, by: Option<UserId>, event: Event) -> u64 {
        let events = &mut self.partitions[usize::from(partition)];
        let sequence = events.len() as u64 + 1;
        let position = Position { partition: Partition(partition), sequence };
        let id = EventId::from_uuid(Uuid::nil());
        events.push(Arc::new(Envelope { position, aggregate, id, by, at: millis(0), trace: None, event }));
        sequence
    }

    fn in_thread(&mut self, thread_id: ThreadId, by: u8, event: ThreadEvent) -> u64 {
        self.append(partition_of(thread_id), Aggregate::Thread(thread_id), Some(user(by)), event.into())
    }

    fn joins(&mut self, thread_id: ThreadId, who: u8, sequence: u64) {
        let thread = self.threads.entry(thread_id).or_default();
        thread.members.insert(who);
        thread.stays.entry(who).or_default().push((sequence, None));
    }

    fn leaves(&mut self, thread_id: ThreadId, who: u8, sequence: u64) {
        let thread = self.threads.get_mut(&thread_id).unwrap();
        thread.members.remove(&who);
        thread.stays.get_mut(&who).unwrap().last_mut().unwrap().1 = Some(sequence);
    }

    /// Writes to somebody; the first opens their thread.
    pub(super) fn send(&mut self, by: u8, to: u8, only_open: bool) {
        let thread_id = direct(by, to);
        if self.threads.contains_key(&thread_id) {
            self.write(by, thread_id);
            return;
        }
        let sequence = if only_open {
            self.in_thread(thread_id, by, ThreadEvent::DirectOpened { peer: user(to) })
        } else {
            self.in_thread(thread_id, by, message(1, Some(user(to))))
        };
        for member in [by, to] {
            self.joins(thread_id, member, sequence);
        }
        self.threads.get_mut(&thread_id).unwrap().last_number = u32::from(!only_open);
    }

    pub(super) fn write(&mut self, by: u8, thread_id: ThreadId) {
        if let Some(thread) = self.threads.get_mut(&thread_id).filter(|thread| thread.members.contains(&by)) {
            thread.last_number += 1;
            let number = thread.last_number;
            self.in_thread(thread_id, by, message(number, None));
        }
    }

    /// Edits, deletes or reacts to a message.
    pub(super) fn amend(&mut self, by: u8, thread_id: ThreadId, back: u32, how: u8) {
        let Some(thread) = self.threads.get_mut(&thread_id).filter(|thread| thread.members.contains(&by)) else {
            return;
        };
        let number = thread.last_number.saturating_sub(back);
        if number == 0 || thread.deleted.contains(&number) {
            return;
        }
        let emoji = || "👍".parse::<Emoji>().unwrap();
        let event = match how % 4 {
            0 => ThreadEvent::MessageEdited { number, body: Text::new("ho"), mentions: Vec::new() },
            1 => ThreadEvent::ReactionAdded { number, emoji: emoji() },
            2 => ThreadEvent::ReactionRemoved { number, emoji: emoji() },
            _ => {
                thread.deleted.insert(number);
                ThreadEvent::MessageDeleted { number, attachments: Vec::new() }
            }
        };
        self.in_thread(thread_id, by, event);
    }

    /// Gives the group another title, or somebody in it another role.
    pub(super) fn arrange(&mut self, index: u8, by: u8, who: u8, rename: bool) {
        let thread_id = group(index);
        let Some(thread) = self.threads.get(&thread_id).filter(|thread| thread.members.contains(&by)) else { return };
        let number = thread.last_number;
        let event = if rename {
            ThreadEvent::Renamed { title: Text::new("h"), number }
        } else if thread.members.contains(&who) {
            ThreadEvent::RoleChanged { user_id: user(who), role: Role::Admin, number }
        } else {
            return;
        };
        self.in_thread(thread_id, by, event);
    }

    /// Creates the group, or has somebody come or go.
    pub(super) fn turn(&mut self, index: u8, by: u8, who: u8) {
        let thread_id = group(index);
        let Some(thread) = self.threads.get(&thread_id) else {
            let others: BTreeSet<u8> = [who, (who + 1) % PEOPLE].into_iter().filter(|&other| other != by).collect();
            let members = others.iter().copied().map(user).collect();
            let sequence = self.in_thread(thread_id, by, ThreadEvent::GroupCreated { title: Text::new("g"), members });
            others.into_iter().chain([by]).for_each(|member| self.joins(thread_id, member, sequence));
            return;
        };
        let number = thread.last_number;
        if !thread.members.contains(&by) {
            return;
        }
        if !thread.members.contains(&who) {
            let added = ThreadEvent::MemberAdded { user_id: user(who), role: Role::Member, number };
            let sequence = self.in_thread(thread_id, by, added);
            self.joins(thread_id, who, sequence);
        } else if who == by {
            let sequence = self.in_thread(thread_id, by, ThreadEvent::MemberLeft { number });
            self.leaves(thread_id, who, sequence);
        } else {
            let sequence = self.in_thread(thread_id, by, ThreadEvent::MemberRemoved { user_id: user(who), number });
            self.leaves(thread_id, who, sequence);
        }
    }

    /// One fact for all threads of a partition that somebody is in; what comes late, was said before they left.
    pub(super) fn read(&mut self, by: u8, partition: u16, (delivered, read): (u32, u32), late: bool) {
        let may = |thread: &Thread| thread.members.contains(&by) || late && thread.stays.contains_key(&by);
        let threads = self.threads.iter().filter(|(id, thread)| partition_of(**id) == partition && may(thread));
        let receipt = |(&thread_id, _)| Receipt { thread_id, user_id: user(by), delivered, read };
        let receipts = threads.map(receipt).collect();
        let aggregate = Aggregate::Receipts(Partition(partition));
        self.append(partition, aggregate, None, ReceiptEvent::ReceiptsAdvanced { receipts }.into());
    }

    /// Something that only its author hears.
    pub(super) fn keep(&mut self, by: u8, other: u8, what: u8) {
        let (peer, thread_id) = (user(other), direct(by, other));
        if what % 5 < 2 {
            let blocks = what.is_multiple_of(5);
            let event = if blocks { ThreadEvent::PeerBlocked { peer } } else { ThreadEvent::PeerUnblocked { peer } };
            self.in_thread(thread_id, by, event);
            return;
        }
        let event = match what % 5 {
            2 => UserEvent::ContactSaved { user_id: peer, alias: None },
            3 => UserEvent::ContactRemoved { user_id: peer },
            _ => UserEvent::ThreadSettingsChanged { thread_id, muted_until: None, archived: true, pinned: false },
        };
        self.append(u16::from(by) % PARTITIONS, Aggregate::User(user(by)), Some(user(by)), event.into());
    }

    pub(super) fn end(&self) -> Sequences {
        self.partitions.each_ref().map(|events| events.len() as u64)
    }

    /// The threads that somebody is or was in, as a view has them that has come that far.
    pub(super) fn memberships(&self, of: u8, applied: Sequences) -> Vec<Joined> {
        let known = |(&thread_id, thread): (&ThreadId, &Thread)| {
            let applied = applied[usize::from(partition_of(thread_id))];
            let stays = thread.stays.get(&of)?;
            let &(joined, left) = stays.iter().rev().find(|(joined, _)| *joined <= applied)?;
            let left = left.filter(|&left| left <= applied);
            let partition = Partition(partition_of(thread_id));
            let number = self.number_before(thread_id, joined);
            Some(Joined { thread_id, partition, since: joined, number, until: left, size: thread.size(applied) })
        };
        self.threads.iter().filter_map(known).collect()
    }

    pub(super) fn threads(&self) -> impl Iterator<Item = ThreadId> {
        self.threads.keys().copied()
    }

    /// How many are in a thread, up to a sequence.
    pub(super) fn size(&self, thread_id: ThreadId, upto: u64) -> u32 {
        self.threads[&thread_id].size(upto)
    }

    pub(super) fn is_member(&self, thread_id: ThreadId, who: UserId, upto: u64) -> bool {
        let stays = self.threads[&thread_id].stays.iter().filter(|(index, _)| user(**index) == who);
        stays.flat_map(|(_, stays)| stays).any(|&(joined, left)| joined <= upto && left.is_none_or(|left| left > upto))
    }

    /// A thread's last number before a sequence.
    fn number_before(&self, thread_id: ThreadId, sequence: u64) -> u32 {
        let before = self.partitions[usize::from(partition_of(thread_id))].iter().rev().find_map(|fact| {
            let earlier = fact.aggregate == Aggregate::Thread(thread_id) && fact.position.sequence < sequence;
            match &fact.event {
                Event::Thread(ThreadEvent::MessageSent { number, .. }) if earlier => Some(*number),
                Event::Thread(_) | Event::User(_) | Event::Receipts(_) | Event::Presence(_) | Event::Deployment(_) => {
                    None
                }
            }
        });
        before.unwrap_or(0)
    }

    /// Whether a message was deleted between two facts.
    pub(super) fn is_deleted(&self, thread_id: ThreadId, number: u32, after: u64, upto: u64) -> bool {
        let between = self.partitions[usize::from(partition_of(thread_id))].iter().filter(|fact| {
            fact.aggregate == Aggregate::Thread(thread_id) && (after + 1..=upto).contains(&fact.position.sequence)
        });
        between.into_iter().any(
            |fact| matches!(&fact.event, Event::Thread(ThreadEvent::MessageDeleted { number: of, .. }) if *of == number),
        )
    }

    /// What somebody must hear, and what they may: of a stay that another followed, only who was there heard it.
    pub(super) fn concerns(&self, of: u8) -> (Heard, Heard) {
        let (mut must, mut may) = (Heard::new(), Heard::new());
        let mut furthest: BTreeMap<(ThreadId, UserId), (u32, u32)> = BTreeMap::new();
        for fact in self.partitions.iter().flatten() {
            let (partition, sequence) = (fact.position.partition.0, fact.position.sequence);
            let mut concerns = |what: String, (musts, mays): (bool, bool)| {
                must.extend(musts.then(|| (partition, sequence, what.clone())));
                may.extend((musts || mays).then_some((partition, sequence, what)));
            };
            match (&fact.event, fact.aggregate) {
                (Event::Thread(event @ (ThreadEvent::PeerBlocked { .. } | ThreadEvent::PeerUnblocked { .. })), _) => {
                    concerns(of_thread(event, "", ""), (fact.by == Some(user(of)), false));
                }
                (Event::Thread(event), Aggregate::Thread(thread_id)) => {
                    let by = fact.by.unwrap().to_string();
                    let what = of_thread(event, &thread_id.to_string(), &by);
                    concerns(what, self.hears(of, thread_id, sequence, amended(event)));
                }
                (Event::User(event), Aggregate::User(user_id)) => {
                    concerns(of_person(event), (user_id == user(of), false));
                }
                (Event::Receipts(ReceiptEvent::ReceiptsAdvanced { receipts }), _) => {
                    for &Receipt { thread_id, user_id, delivered, read } in receipts {
                        let before = furthest.entry((thread_id, user_id)).or_default();
                        let raised = (before.0.max(delivered), before.1.max(read));
                        if !self.is_member(thread_id, user_id, sequence) || raised == *before {
                            continue;
                        }
                        *before = raised;
                        let (musts, mays) = self.hears(of, thread_id, sequence, None);
                        let told = user_id == user(of) || !self.threads[&thread_id].was_ever_large();
                        let what = format!("receipt {thread_id} {user_id} {} {}", raised.0, raised.1);
                        concerns(what, (musts && told, musts || mays));
                    }
                }
                (Event::Thread(_) | Event::User(_) | Event::Presence(_) | Event::Deployment(_), _) => {}
            }
        }
        (must, may)
    }

    /// What becomes of a message is for those who see that.
    fn hears(&self, of: u8, thread_id: ThreadId, sequence: u64, amended: Option<u32>) -> (bool, bool) {
        let stays = self.threads[&thread_id].stays.get(&of).map(Vec::as_slice).unwrap_or_default();
        let within = |&(joined, left): &(u64, Option<u64>)| {
            joined <= sequence
                && left.is_none_or(|left| sequence <= left)
                && amended.is_none_or(|number| number > self.number_before(thread_id, joined))
        };
        (stays.last().is_some_and(within), stays.iter().any(within))
    }
}

/// The message that an event changes.
fn amended(event: &ThreadEvent) -> Option<u32> {
    if let ThreadEvent::MessageEdited { number, .. }
    | ThreadEvent::MessageDeleted { number, .. }
    | ThreadEvent::ReactionAdded { number, .. }
    | ThreadEvent::ReactionRemoved { number, .. } = event
    {
        Some(*number)
    } else {
        None
    }
}

fn message(number: u32, opens: Option<UserId>) -> ThreadEvent {
    let key = MessageKey::from_uuid(Uuid::nil());
    ThreadEvent::MessageSent {
        number,
        key,
        body: Text::new("hi"),
        reply_to: None,
        opens,
        mentions: Vec::new(),
        attachments: Vec::new(),
    }
}

/// What a frame says of an event, in the words of [`super::simulated_client`].
fn of_thread(event: &ThreadEvent, thread_id: &str, by: &str) -> String {
    match event {
        ThreadEvent::MessageSent { number, .. } => format!("message {thread_id} {number}"),
        ThreadEvent::MessageEdited { number, .. } => format!("message_edited {thread_id} {number}"),
        ThreadEvent::MessageDeleted { number, .. } => format!("message_deleted {thread_id} {number}"),
        ThreadEvent::ReactionAdded { number, .. } => format!("reaction {thread_id} {number} {by} false"),
        ThreadEvent::ReactionRemoved { number, .. } => format!("reaction {thread_id} {number} {by} true"),
        ThreadEvent::DirectOpened { .. } | ThreadEvent::GroupCreated { .. } => format!("thread {thread_id} created"),
        ThreadEvent::Renamed { .. } => format!("thread {thread_id} renamed"),
        ThreadEvent::MemberAdded { user_id, .. } => format!("thread {thread_id} {user_id} member_added"),
        ThreadEvent::MemberRemoved { user_id, .. } => format!("thread {thread_id} {user_id} member_removed"),
        ThreadEvent::MemberLeft { .. } => format!("thread {thread_id} {by} member_left"),
        ThreadEvent::PictureChanged { .. } => format!("thread {thread_id} picture_changed"),
        ThreadEvent::RoleChanged { user_id, .. } => format!("thread {thread_id} {user_id} role_changed"),
        ThreadEvent::PeerBlocked { peer } => format!("block {peer} false"),
        ThreadEvent::PeerUnblocked { peer } => format!("block {peer} true"),
    }
}

fn of_person(event: &UserEvent) -> String {
    match event {
        UserEvent::ContactSaved { user_id, .. } => format!("contact {user_id} false"),
        UserEvent::ContactRemoved { user_id } => format!("contact {user_id} true"),
        UserEvent::ThreadSettingsChanged { thread_id, .. } => format!("settings {thread_id}"),
        UserEvent::SignedUp { .. }
        | UserEvent::SessionOpened { .. }
        | UserEvent::SessionRevoked { .. }
        | UserEvent::PasswordChanged { .. }
        | UserEvent::ProfileChanged { .. }
        | UserEvent::PictureChanged { .. }
        | UserEvent::DataExported {}
        | UserEvent::MessageReported { .. }
        | UserEvent::ReportResolved { .. }
        | UserEvent::Suspended { .. }
        | UserEvent::Restored { .. } => unreachable!("nobody here does that"),
    }
}

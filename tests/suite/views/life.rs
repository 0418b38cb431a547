//! The life of a group, of people and of a pair, by chance: facts as the deciders
//! let them come about, from a seed.

use super::Scribe;
use command::{
    decider::{Decider, Fact},
    picture::Picture,
    thread::{Amend, Change, Command, Content, Send, Shown, ShownMessage, Thread},
};
use events::{
    Aggregate, Attachment, AttachmentId, Emoji, MessageKey, Text, ThreadEvent, ThreadId, UserEvent, UserId,
    clock::millis,
    event::{Number, Role},
};

const EMOJIS: [&str; 3] = ["👍", "❤️", "👩‍👩‍👧‍👦"];

/// Numbers by chance (Knuth's linear congruential generator, MMIX).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

struct Group {
    thread_id: ThreadId,
    state: Thread,
    sequence: u64,
    /// The authors of its messages, and which of those are deleted.
    messages: Vec<(UserId, bool)>,
}

impl Scribe {
    /// What a group decides; nothing where it refuses.
    async fn command(&mut self, group: &mut Group, by: UserId, command: &Command) {
        let Ok(Some(event)) = group.state.decide(command) else { return };
        if let ThreadEvent::MessageSent { .. } = &event {
            group.messages.push((by, false));
        }
        if let ThreadEvent::MessageDeleted { number, .. } = &event {
            group.messages[*number as usize - 1].1 = true;
        }
        group.sequence = self.write(Aggregate::Thread(group.thread_id), Some(by), event.clone()).await.sequence;
        let at = millis(self.at());
        group.state.evolve(Fact { sequence: group.sequence, by: Some(by), at, event: &event });
    }
}

/// So many deeds of five people in a group, to each other, and of the first two in their direct thread.
pub async fn of_a_group(scribe: &mut Scribe, seed: u64, deeds: u32) {
    let mut chance = Chance(seed);
    let mut people = Vec::new();
    for person in 0..5 {
        people.push(scribe.person(&format!("person{person} of {seed}")).await);
    }
    let thread_id = ThreadId::from_uuid(scribe.ids.next());
    let mut group = Group { thread_id, state: Thread::default(), sequence: 0, messages: Vec::new() };
    let (title, members) = (Text::new("group"), people[1..4].to_vec());
    scribe.command(&mut group, people[0], &Command::CreateGroup { by: people[0], title, members }).await;
    for deed in 0..deeds {
        let by = people[chance.below(5)];
        let other = people[chance.below(5)];
        let command = match chance.below(20) {
            0..6 => Command::Send(send(scribe, by, other, deed)),
            6..11 => {
                let Some(amend) = amend(&mut chance, &group, by, other, deed) else { continue };
                Command::Amend(amend)
            }
            11 if deed.is_multiple_of(2) => {
                let file = file(scribe);
                let picture = Picture { attachment_id: file.attachment_id, found: Some(file) };
                Command::SetPicture { by, picture: (chance.below(3) > 0).then_some(picture) }
            }
            11 => Command::Rename { by, title: Text::new(&format!("title {deed}")) },
            12..14 => Command::PutMember { by, user_id: other, role: None },
            14 => {
                let role = [Role::Member, Role::Admin, Role::Owner][chance.below(3)];
                Command::PutMember { by, user_id: other, role: Some(role) }
            }
            15..17 => Command::RemoveMember { by, user_id: other },
            17..19 => {
                let last = usize::try_from(group.state.last_number()).unwrap();
                let (delivered, read) = (chance.below(last + 2), chance.below(last + 2));
                let [delivered, read] = [delivered, read].map(|number| Number::try_from(number).unwrap());
                scribe.receive(thread_id, by, delivered, read).await;
                continue;
            }
            _ => {
                of_people(scribe, &mut chance, by, other, thread_id).await;
                continue;
            }
        };
        scribe.command(&mut group, by, &command).await;
    }
}

fn send(scribe: &Scribe, by: UserId, mentioned: UserId, deed: u32) -> Send {
    let (key, body) = (MessageKey::from_uuid(scribe.ids.next()), format!("message {deed}"));
    let content = Content::of(key, &body, None, []);
    let attachments = Some(if deed.is_multiple_of(4) { vec![file(scribe), file(scribe)] } else { Vec::new() });
    let mentions = if deed.is_multiple_of(3) { vec![mentioned] } else { Vec::new() };
    Send {
        by,
        key,
        body: Text::new(&body),
        content,
        reply_to: None,
        opens: None,
        mentions,
        attachments,
        absent_as_of: None,
    }
}

fn file(scribe: &Scribe) -> Attachment {
    let (name, media_type) = (Text::new("file"), "image/png".parse().unwrap());
    let attachment_id = AttachmentId::from_uuid(scribe.ids.next());
    Attachment { attachment_id, name, media_type, size: 7, width: Some(1), height: None }
}

fn amend(chance: &mut Chance, group: &Group, by: UserId, mentioned: UserId, deed: u32) -> Option<Amend> {
    let index = chance.below(group.messages.len().max(1));
    let &(author, deleted) = group.messages.get(index)?;
    let emoji: Emoji = EMOJIS[chance.below(3)].parse().unwrap();
    let (by, change) = match chance.below(8) {
        0..2 => (author, Change::Edit { body: Text::new(&format!("edited {deed}")), mentions: vec![mentioned] }),
        2 => (author, Change::Delete),
        3..6 => (by, Change::React(emoji.clone())),
        _ => (by, Change::Unreact(emoji.clone())),
    };
    // That it was there is as good a claim as any: the projection must stand both.
    let reacted = if matches!(change, Change::Unreact(_)) { vec![emoji] } else { Vec::new() };
    let message =
        ShownMessage { author, body: Some("something".to_owned()), deleted, reacted, attachments: Vec::new() };
    let shown = Some(Shown { as_of: u64::MAX, message: Some(message) });
    Some(Amend { by, number: Number::try_from(index).unwrap() + 1, change, shown })
}

async fn of_people(scribe: &mut Scribe, chance: &mut Chance, by: UserId, other: UserId, thread_id: ThreadId) {
    let user = match chance.below(7) {
        6 => UserEvent::PictureChanged { picture: (chance.below(3) > 0).then(|| file(scribe)), replaces: None },
        0 => UserEvent::ContactSaved { user_id: other, alias: Some(Text::new("alias")) },
        1 => UserEvent::ContactSaved { user_id: other, alias: None },
        2 => UserEvent::ContactRemoved { user_id: other },
        3 => {
            let muted_until = Some(millis(scribe.at()));
            UserEvent::ThreadSettingsChanged { thread_id, muted_until, archived: chance.below(2) == 0, pinned: true }
        }
        block => {
            let peer = other;
            let event =
                if block == 4 { ThreadEvent::PeerBlocked { peer } } else { ThreadEvent::PeerUnblocked { peer } };
            scribe.write(Aggregate::Thread(ThreadId::direct(by, peer)), Some(by), event).await;
            return;
        }
    };
    scribe.write(Aggregate::User(by), Some(by), user).await;
}

use super::{Amend, Change, Command, MAX_REACTIONS, Rejection, Shown, ShownMessage, Thread, amendments::REMEMBERED};
use crate::spec::{Given, given};
use events::{
    Emoji, MessageKey, Text, ThreadEvent, UserId,
    event::{Number, Role},
};
use uuid::Uuid;

const ADA: UserId = UserId::from_uuid(Uuid::from_u128(10));
const BOB: UserId = UserId::from_uuid(Uuid::from_u128(11));
const EVE: UserId = UserId::from_uuid(Uuid::from_u128(12));

fn emoji(text: &str) -> Emoji {
    text.parse().unwrap()
}

fn sent(number: Number) -> ThreadEvent {
    let key = MessageKey::from_uuid(Uuid::from_u128(u128::from(number)));
    ThreadEvent::MessageSent {
        number,
        key,
        body: Text::new("text"),
        reply_to: None,
        opens: None,
        mentions: vec![],
        attachments: vec![],
    }
}

/// Ada owns it, Bob is a member; 1 is Ada's, 2 is Bob's; it ends at sequence 3.
fn group() -> Given<Thread> {
    let title = Text::new("group");
    given([(ADA, ThreadEvent::GroupCreated { title, members: vec![BOB] }), (ADA, sent(1)), (BOB, sent(2))])
}

/// The message as Ada wrote it, shown as of that sequence.
fn shown(as_of: u64) -> Shown {
    let message = ShownMessage {
        author: ADA,
        body: Some("text".to_owned()),
        deleted: false,
        reacted: vec![],
        attachments: vec![],
    };
    Shown { as_of, message: Some(message) }
}

fn of_bob(as_of: u64) -> Shown {
    let message = shown(as_of).message.map(|message| ShownMessage { author: BOB, ..message });
    Shown { as_of, message }
}

fn amend(by: UserId, number: Number, change: Change, shown: impl Into<Option<Shown>>) -> Command {
    Command::Amend(Amend { by, number, change, shown: shown.into() })
}

fn edit(body: &str) -> Change {
    Change::Edit { body: Text::new(body), mentions: vec![] }
}

fn edited(number: Number, body: &str) -> ThreadEvent {
    ThreadEvent::MessageEdited { number, body: Text::new(body), mentions: vec![] }
}

fn added(number: Number, reaction: &str) -> ThreadEvent {
    ThreadEvent::ReactionAdded { number, emoji: emoji(reaction) }
}

#[test]
fn an_author_edits_and_the_same_text_again_is_nothing() {
    group()
        .when(&amend(ADA, 1, edit("other"), shown(3)))
        .then(ADA, edited(1, "other"))
        .when(&amend(ADA, 1, edit("other"), shown(3)))
        .then_rejected(Rejection::NotShown { as_of: 4 });
    group().when(&amend(ADA, 1, edit("text"), shown(3))).then_nothing();
    group().when(&amend(BOB, 1, edit("other"), shown(3))).then_rejected(Rejection::Forbidden);
    group().when(&amend(ADA, 2, edit("other"), of_bob(3))).then_rejected(Rejection::Forbidden);
}

#[test]
fn what_a_message_is_must_be_shown_as_of_its_sending_at_least() {
    group().when(&amend(ADA, 1, edit("other"), None)).then_rejected(Rejection::NotShown { as_of: 2 });
    group().when(&amend(BOB, 2, edit("other"), of_bob(2))).then_rejected(Rejection::NotShown { as_of: 3 });
    let nothing = Shown { as_of: 3, message: None };
    group().when(&amend(ADA, 1, Change::Delete, nothing)).then_rejected(Rejection::NoSuchMessage);
}

#[test]
fn a_message_is_deleted_by_its_author_or_who_leads_once_and_for_good() {
    let deleted = |number| ThreadEvent::MessageDeleted { number, attachments: vec![] };
    for (by, number, shown) in [(ADA, 1, shown(3)), (BOB, 2, of_bob(3)), (ADA, 2, of_bob(3))] {
        group()
            .when(&amend(by, number, Change::Delete, shown.clone()))
            .then(by, deleted(number))
            .when(&amend(by, number, Change::Delete, shown.clone()))
            .then_nothing()
            .when(&amend(by, number, Change::React(emoji("👍")), shown.clone()))
            .then_rejected(Rejection::Deleted)
            .when(&amend(by, number, Change::Unreact(emoji("👍")), shown))
            .then_nothing();
    }
    group().when(&amend(BOB, 1, Change::Delete, shown(3))).then_rejected(Rejection::Forbidden);
    group()
        .when(&amend(ADA, 1, Change::Delete, shown(3)))
        .then(ADA, deleted(1))
        .when(&amend(ADA, 1, edit("again"), shown(3)))
        .then_rejected(Rejection::Deleted);
    let tombstone = ShownMessage { author: ADA, body: None, deleted: true, reacted: vec![], attachments: vec![] };
    let tombstone = Shown { as_of: 3, message: Some(tombstone) };
    group().when(&amend(ADA, 1, edit("again"), tombstone)).then_rejected(Rejection::Deleted);
}

#[test]
fn in_a_direct_thread_nobody_deletes_what_the_other_wrote() {
    given::<Thread>([(ADA, ThreadEvent::DirectOpened { peer: BOB }), (ADA, sent(1))])
        .when(&amend(BOB, 1, Change::Delete, shown(2)))
        .then_rejected(Rejection::Forbidden);
}

#[test]
fn one_reacts_once_with_each_emoji() {
    let (react, unreact) = (Change::React(emoji("👍")), Change::Unreact(emoji("👍")));
    group()
        .when(&amend(BOB, 1, react.clone(), shown(3)))
        .then(BOB, added(1, "👍"))
        .when(&amend(BOB, 1, react.clone(), shown(3)))
        .then_nothing()
        .when(&amend(ADA, 1, react.clone(), shown(3)))
        .then(ADA, added(1, "👍"))
        .when(&amend(BOB, 1, unreact.clone(), shown(3)))
        .then(BOB, ThreadEvent::ReactionRemoved { number: 1, emoji: emoji("👍") })
        .when(&amend(BOB, 1, unreact, shown(3)))
        .then_nothing()
        .when(&amend(BOB, 1, react, shown(3)))
        .then(BOB, added(1, "👍"));
}

#[test]
fn the_reactions_of_one_person_to_one_message_are_bounded() {
    let faces = (0x1f600..).filter_map(char::from_u32).filter_map(|face| face.to_string().parse::<Emoji>().ok());
    let mut faces = faces.take(MAX_REACTIONS + 1).collect::<Vec<_>>();
    let last = faces.pop().unwrap();
    let message = ShownMessage { author: ADA, body: None, deleted: false, reacted: faces, attachments: vec![] };
    let shown = Shown { as_of: 3, message: Some(message) };
    group().when(&amend(BOB, 1, Change::React(last), shown)).then_rejected(Rejection::TooManyReactions);
}

#[test]
fn strangers_and_who_joined_later_amend_nothing() {
    let react = || Change::React(emoji("👍"));
    group().when(&amend(EVE, 1, react(), shown(3))).then_rejected(Rejection::NotAMember);
    let mut joined = group();
    joined.happens(ADA, &ThreadEvent::MemberAdded { user_id: EVE, role: Role::Member, number: 2 });
    let mut joined = joined.when(&amend(EVE, 1, react(), shown(4))).then_rejected(Rejection::NoSuchMessage);
    joined.happens(ADA, &sent(3));
    joined
        .when(&amend(EVE, 4, react(), shown(5)))
        .then_rejected(Rejection::NoSuchMessage)
        .when(&amend(EVE, 3, react(), shown(5)))
        .then(EVE, added(3, "👍"));
}

#[test]
fn what_is_forgotten_the_view_must_have_seen() {
    let mut busy = group();
    for _ in 0..=REMEMBERED {
        busy.happens(ADA, &edited(1, "again"));
    }
    // Sequence 4 is the edit that is forgotten.
    let react = || Change::React(emoji("👍"));
    busy.when(&amend(BOB, 2, react(), of_bob(3)))
        .then_rejected(Rejection::NotShown { as_of: 4 })
        .when(&amend(BOB, 2, react(), of_bob(4)))
        .then(BOB, added(2, "👍"));
}

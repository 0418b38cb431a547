use super::{Amend, Change, Command, Content, Rejection, Send, Shown, ShownMessage, Thread, sends::REMEMBERED};
use crate::{
    decider::Aggregate,
    spec::{Given, given},
};
use events::{Attachment, AttachmentId, MessageKey, Text, ThreadEvent, UserId, attachment::MediaType, event::Number};
use proptest::prelude::*;
use std::collections::HashMap;
use uuid::Uuid;

const ADA: UserId = UserId::from_uuid(Uuid::from_u128(10));
const BOB: UserId = UserId::from_uuid(Uuid::from_u128(11));
const EVE: UserId = UserId::from_uuid(Uuid::from_u128(12));

fn key(number: u32) -> MessageKey {
    MessageKey::from_uuid(Uuid::from_u128(u128::from(number)))
}

fn opened() -> (UserId, ThreadEvent) {
    (ADA, ThreadEvent::DirectOpened { peer: BOB })
}

fn send(by: UserId, number: u32, body: &str) -> Send {
    let content = Content::of(key(number), body, None, []);
    let (key, body) = (key(number), Text::new(body));
    Send {
        by,
        key,
        body,
        content,
        reply_to: None,
        opens: None,
        mentions: vec![],
        attachments: Some(vec![]),
        absent_as_of: None,
    }
}

fn sent(number: Number, sent: &Send) -> ThreadEvent {
    ThreadEvent::MessageSent {
        number,
        key: sent.key,
        body: sent.body.clone(),
        reply_to: sent.reply_to,
        opens: sent.opens,
        mentions: sent.mentions.clone(),
        attachments: sent.attachments.clone().unwrap(),
    }
}

/// A thread in which so many messages were sent that the first is forgotten.
fn busy() -> Given<Thread> {
    let mut thread = given::<Thread>([opened()]);
    for number in 1..=u32::try_from(REMEMBERED).unwrap() + 1 {
        thread.handle(ADA, &Command::Send(send(ADA, number * 10, "x"))).unwrap().unwrap();
    }
    thread
}

#[test]
fn a_direct_thread_opens_once() {
    let open = |by, peer| Command::OpenDirect { by, peer };
    given::<Thread>([]).when(&open(ADA, BOB)).then(ADA, opened().1).when(&open(BOB, ADA)).then_nothing();
}

#[test]
fn the_first_message_opens_the_thread_in_the_same_fact() {
    let first = Send { opens: Some(BOB), ..send(ADA, 1, "hi") };
    let answer = Send { opens: Some(ADA), ..send(BOB, 2, "hello") };
    given::<Thread>([])
        .when(&Command::Send(first.clone()))
        .then(ADA, sent(1, &first))
        .when(&Command::Send(answer.clone()))
        .then(BOB, sent(2, &Send { opens: None, ..answer }));
}

#[test]
fn numbers_count_from_one_without_gaps() {
    let (first, second) = (send(ADA, 1, "one"), send(BOB, 2, "two"));
    given::<Thread>([opened()])
        .when(&Command::Send(first.clone()))
        .then(ADA, sent(1, &first))
        .when(&Command::Send(second.clone()))
        .then(BOB, sent(2, &second));
}

#[test]
fn nobody_else_can_send() {
    given::<Thread>([opened()]).when(&Command::Send(send(EVE, 1, "let me in"))).then_rejected(Rejection::NotAMember);
    given::<Thread>([]).when(&Command::Send(send(ADA, 1, "into nothing"))).then_rejected(Rejection::NotAMember);
    let opens = Send { opens: Some(BOB), ..send(EVE, 1, "let me in") };
    given::<Thread>([opened()]).when(&Command::Send(opens)).then_rejected(Rejection::NotAMember);
}

#[test]
fn whom_the_other_blocked_cannot_send_and_what_was_sent_before_is_answered_again() {
    let first = send(ADA, 1, "one");
    let block = |by, peer| Command::Block { by, peer };
    let blocked = given::<Thread>([opened(), (ADA, sent(1, &first))])
        .when(&block(BOB, ADA))
        .then(BOB, ThreadEvent::PeerBlocked { peer: ADA })
        .when(&block(BOB, ADA))
        .then_nothing()
        .when(&Command::Send(first))
        .then_nothing()
        .when(&Command::Send(send(ADA, 2, "two")))
        .then_rejected(Rejection::Blocked);
    let from_bob = send(BOB, 3, "three");
    let unblock = Command::Unblock { by: BOB, peer: ADA };
    blocked
        .when(&Command::Send(from_bob.clone()))
        .then(BOB, sent(2, &from_bob))
        .when(&unblock)
        .then(BOB, ThreadEvent::PeerUnblocked { peer: ADA })
        .when(&unblock)
        .then_nothing()
        .when(&Command::Send(send(ADA, 4, "four")))
        .then(ADA, sent(3, &send(ADA, 4, "four")));
}

#[test]
fn whom_the_other_blocked_says_nothing_by_an_edit_or_a_reaction_either() {
    let shown = ShownMessage {
        author: ADA,
        body: Some("one".to_owned()),
        deleted: false,
        reacted: vec![],
        attachments: vec![],
    };
    let shown = Some(Shown { as_of: 9, message: Some(shown) });
    let amend = |change| Command::Amend(Amend { by: ADA, number: 1, change, shown: shown.clone() });
    let blocked = [opened(), (ADA, sent(1, &send(ADA, 1, "one"))), (BOB, ThreadEvent::PeerBlocked { peer: ADA })];
    given::<Thread>(blocked)
        .when(&amend(Change::Edit { body: Text::new("two"), mentions: vec![] }))
        .then_rejected(Rejection::Blocked)
        .when(&amend(Change::React("👍".parse().unwrap())))
        .then_rejected(Rejection::Blocked)
        .when(&amend(Change::Delete))
        .then(ADA, ThreadEvent::MessageDeleted { number: 1, attachments: vec![] });
}

#[test]
fn a_block_holds_before_the_thread_is_open() {
    let first = Send { opens: Some(BOB), ..send(ADA, 1, "hi") };
    given::<Thread>([(BOB, ThreadEvent::PeerBlocked { peer: ADA })])
        .when(&Command::OpenDirect { by: ADA, peer: BOB })
        .then_rejected(Rejection::Blocked)
        .when(&Command::Send(first))
        .then_rejected(Rejection::Blocked)
        .when(&Command::OpenDirect { by: BOB, peer: ADA })
        .then(BOB, ThreadEvent::DirectOpened { peer: ADA });
}

#[test]
fn only_members_are_mentioned() {
    let naming = Send { mentions: vec![EVE, BOB, ADA], ..send(ADA, 1, "@eve @bob @ada") };
    let mentioning = Send { mentions: vec![BOB, ADA], ..naming.clone() };
    given::<Thread>([opened()]).when(&Command::Send(naming.clone())).then(ADA, sent(1, &mentioning));
    let opens = Some(BOB);
    given::<Thread>([])
        .when(&Command::Send(Send { opens, ..naming }))
        .then(ADA, sent(1, &Send { opens, ..mentioning }));
}

#[test]
fn a_reply_names_a_message_that_is_there() {
    let first = send(ADA, 1, "one");
    let reply = |number| Send { reply_to: Some(number), ..send(BOB, 2, "two") };
    let thread = || given::<Thread>([opened(), (ADA, sent(1, &first))]);
    thread().when(&Command::Send(reply(1))).then(BOB, sent(2, &reply(1)));
    thread().when(&Command::Send(reply(2))).then_rejected(Rejection::NoSuchMessage);
    thread().when(&Command::Send(reply(0))).then_rejected(Rejection::NoSuchMessage);
}

#[test]
fn the_same_key_again_adds_nothing_and_remembers_its_first_answer() {
    let first = send(ADA, 1, "one");
    let thread = given::<Thread>([opened(), (ADA, sent(1, &first))]).when(&Command::Send(first)).then_nothing();
    let repeated = thread.state.repeated(ADA, key(1)).unwrap();
    assert_eq!((repeated.number, repeated.sequence), (1, 2));
    assert_eq!(thread.state.repeated(BOB, key(1)), None);
}

#[test]
fn the_same_key_for_another_text_or_reply_is_refused() {
    let first = send(ADA, 1, "one");
    let thread = || given::<Thread>([opened(), (ADA, sent(1, &first))]);
    thread().when(&Command::Send(send(ADA, 1, "two"))).then_rejected(Rejection::KeyReused);
    let content = Content::of(key(1), "one", Some(1), []);
    let reply = Send { content, reply_to: Some(1), ..send(ADA, 1, "one") };
    thread().when(&Command::Send(reply)).then_rejected(Rejection::KeyReused);
}

#[test]
fn another_persons_equal_key_is_another_message() {
    let (hers, his) = (send(ADA, 1, "one"), send(BOB, 1, "one"));
    given::<Thread>([opened(), (ADA, sent(1, &hers))]).when(&Command::Send(his.clone())).then(BOB, sent(2, &his));
}

#[test]
fn an_older_key_is_new_while_the_thread_remembers_all_its_sends() {
    let (later, earlier) = (send(ADA, 9, "later"), send(ADA, 1, "earlier"));
    given::<Thread>([opened(), (ADA, sent(1, &later))])
        .when(&Command::Send(earlier.clone()))
        .then(ADA, sent(2, &earlier));
}

#[test]
fn a_forgotten_key_is_looked_up_as_of_the_oldest_send_that_is_remembered() {
    // Sequence 1 opened the thread, 2 is the forgotten first message, 3 the oldest remembered.
    busy().when(&Command::Send(send(ADA, 10, "x"))).then_rejected(Rejection::KeyUnknown { as_of: 3 });
    busy().when(&Command::Send(send(ADA, 15, "x"))).then_rejected(Rejection::KeyUnknown { as_of: 3 });
    let stale = Send { absent_as_of: Some(2), ..send(ADA, 15, "x") };
    busy().when(&Command::Send(stale)).then_rejected(Rejection::KeyUnknown { as_of: 3 });
    let proven = Send { absent_as_of: Some(3), ..send(ADA, 15, "x") };
    let last = u32::try_from(REMEMBERED).unwrap() + 1;
    busy().when(&Command::Send(proven.clone())).then(ADA, sent(last + 1, &proven));
}

#[test]
fn a_key_above_the_senders_largest_needs_no_look_up() {
    let last = u32::try_from(REMEMBERED).unwrap() + 1;
    let next = send(ADA, 1_000_000, "x");
    busy().when(&Command::Send(next.clone())).then(ADA, sent(last + 1, &next));
    let first_of_bob = send(BOB, 1, "x");
    busy().when(&Command::Send(first_of_bob.clone())).then(BOB, sent(last + 1, &first_of_bob));
}

#[test]
fn an_erased_text_is_taken_for_the_same() {
    let first = ThreadEvent::MessageSent {
        number: 1,
        key: key(1),
        body: Text::ERASED,
        reply_to: None,
        opens: None,
        mentions: vec![],
        attachments: vec![],
    };
    given::<Thread>([opened(), (ADA, first)]).when(&Command::Send(send(ADA, 1, "whatever"))).then_nothing();
}

#[test]
fn the_state_keeps_the_shape_that_its_name_stands_for() {
    let thread = given::<Thread>([
        opened(),
        (ADA, sent(1, &send(ADA, 1, "one"))),
        (ADA, ThreadEvent::MessageEdited { number: 1, body: Text::new("two"), mentions: vec![] }),
        (BOB, ThreadEvent::ReactionAdded { number: 1, emoji: "👍".parse().unwrap() }),
        (BOB, ThreadEvent::PeerBlocked { peer: ADA }),
    ]);
    let kept = serde_json::to_string(&thread.state).unwrap();
    assert_eq!(kept, SHAPE_3);
    assert_eq!(Thread::SHAPE, "thread.3");
    assert_eq!(serde_json::from_str::<Thread>(&kept).unwrap(), thread.state);
}

const SHAPE_3: &str = concat!(
    r#"{"kind":"Direct","created_by":null,"members":{"#,
    r#""00000000-0000-0000-0000-00000000000a":{"role":"member","joined_sequence":1,"joined_number":0,"was_owner":false},"#,
    r#""00000000-0000-0000-0000-00000000000b":{"role":"member","joined_sequence":1,"joined_number":0,"was_owner":false}},"#,
    r#""blocked_by":["00000000-0000-0000-0000-00000000000b"],"#,
    r#""last_number":1,"picture":null,"sends":{"latest":[["00000000-0000-0000-0000-00000000000a","#,
    r#""00000000-0000-0000-0000-000000000001",{"number":1,"sequence":2,"#,
    r#""sent_at":2000,"content":7430082477961203200}]],"#,
    r#""largest":{"00000000-0000-0000-0000-00000000000a":"00000000-0000-0000-0000-000000000001"},"forgot":false},"#,
    r#""amendments":{"latest":[{"sequence":3,"number":1,"what":"Edited"},{"sequence":4,"number":1,"what":{"Reacted":"#,
    r#"{"by":"00000000-0000-0000-0000-00000000000b","emoji":"👍","removed":false}}}],"forgotten":0}}"#,
);

proptest! {
    /// Whatever people send and send again: one fact for each sender and key, numbered without gaps;
    /// and a state that was loaded from the facts is the state that decided them.
    #[test]
    fn a_retried_send_adds_no_fact_and_replay_equals_live(
        sends in prop::collection::vec((0..3_u8, 1..40_u32), 1..120),
    ) {
        let mut live = given::<Thread>([opened()]);
        let mut facts = vec![opened()];
        let mut first_answers = HashMap::new();
        for (who, number) in sends {
            let by = [ADA, BOB, EVE][usize::from(who)];
            let command = send(by, number, "text");
            match live.handle(by, &Command::Send(command)) {
                Ok(Some(event)) => {
                    facts.push((by, event));
                    let number_of = Number::try_from(facts.len() - 1).unwrap();
                    prop_assert_eq!(first_answers.insert((by, number), number_of), None);
                }
                Ok(None) => {}
                Err(rejection) => prop_assert_eq!((by, rejection), (EVE, Rejection::NotAMember)),
            }
            let answer = live.state.repeated(by, key(number)).map(|repeated| repeated.number);
            prop_assert_eq!(answer, first_answers.get(&(by, number)).copied());
        }
        prop_assert_eq!(given::<Thread>(facts).state, live.state);
    }
}

fn file(id: u128) -> Attachment {
    let (attachment_id, name) = (AttachmentId::from_uuid(Uuid::from_u128(id)), Text::new("file"));
    Attachment { attachment_id, name, media_type: MediaType::unknown(), size: 1, width: None, height: None }
}

fn send_file(number: u32, id: u128) -> Send {
    let file = file(id);
    let content = Content::of(key(number), "look", None, [file.attachment_id]);
    Send { content, attachments: Some(vec![file]), ..send(ADA, number, "look") }
}

#[test]
fn an_upload_that_is_not_there_is_not_sent_and_one_that_was_sent_need_not_be_there() {
    let first = send_file(1, 7);
    let used_up = Command::Send(Send { attachments: None, ..first.clone() });
    let other = Command::Send(Send { attachments: None, ..send_file(1, 8) });
    given::<Thread>([opened()])
        .when(&used_up)
        .then_rejected(Rejection::NoSuchUpload)
        .when(&Command::Send(first.clone()))
        .then(ADA, sent(1, &first))
        .when(&used_up)
        .then_nothing()
        .when(&other)
        .then_rejected(Rejection::KeyReused);
}

#[test]
fn the_files_of_a_message_go_with_it() {
    let first = send_file(1, 7);
    let attachments = vec![file(7).attachment_id];
    let message = ShownMessage {
        author: ADA,
        body: Some("look".to_owned()),
        deleted: false,
        reacted: vec![],
        attachments: attachments.clone(),
    };
    let shown = Some(Shown { as_of: 9, message: Some(message) });
    given::<Thread>([opened()])
        .when(&Command::Send(first.clone()))
        .then(ADA, sent(1, &first))
        .when(&Command::Amend(Amend { by: ADA, number: 1, change: Change::Delete, shown }))
        .then(ADA, ThreadEvent::MessageDeleted { number: 1, attachments });
}

use crate::{
    projection::Projection,
    search::{Amended, MOST_POSTINGS, Search},
};
use events::{
    Aggregate, Envelope, EventId, MessageKey, Partition, Position, Text, ThreadEvent, ThreadId, UserId, clock::millis,
};
use std::collections::BTreeSet;
use uuid::Uuid;

const ANNA: UserId = UserId::from_uuid(Uuid::from_u128(1));
const THREAD: ThreadId = ThreadId::from_uuid(Uuid::from_u128(7));

fn projected(facts: impl IntoIterator<Item = ThreadEvent>) -> Search {
    let mut search = Search::default();
    for (event, sequence) in facts.into_iter().zip(1..) {
        search.project(&Envelope {
            position: Position { partition: Partition(0), sequence },
            aggregate: Aggregate::Thread(THREAD),
            id: EventId::from_uuid(Uuid::from_u128(sequence.into())),
            by: Some(ANNA),
            at: millis(i64::try_from(sequence).unwrap()),
            trace: None,
            event: event.into(),
        });
    }
    search
}

fn sent(number: u32, body: Text) -> ThreadEvent {
    let key = MessageKey::from_uuid(Uuid::from_u128(number.into()));
    ThreadEvent::MessageSent { number, key, body, reply_to: None, opens: None, mentions: vec![], attachments: vec![] }
}

fn edited(number: u32, body: &str) -> ThreadEvent {
    ThreadEvent::MessageEdited { number, body: Text::new(body), mentions: vec![] }
}

fn terms(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|term| (*term).to_owned()).collect()
}

#[test]
fn a_message_of_a_batch_is_found_as_the_batch_leaves_it() {
    let search = projected([sent(1, Text::new("Old café")), edited(1, "new café")]);
    let message = &search.messages[&(THREAD, 1)];
    assert_eq!((message.sent_at, &message.text.terms), (millis(1), &terms(&["cafe", "new"])));
    assert_eq!((message.text.body(), message.text.folded()), (Some("new café"), Some("new cafe")));
    assert!(search.amended.is_empty());
}

#[test]
fn a_deletion_is_final_whatever_is_edited_later() {
    for facts in [vec![], vec![sent(1, Text::new("old"))], vec![edited(1, "newer")]] {
        let deleted = ThreadEvent::MessageDeleted { number: 1, attachments: vec![] };
        let search = projected(facts.into_iter().chain([deleted, edited(1, "again")]));
        assert!(search.messages.is_empty());
        assert_eq!(search.amended.values().collect::<Vec<_>>(), [&Amended::Deleted]);
    }
}

#[test]
fn what_is_erased_has_no_words() {
    let search = projected([sent(1, Text::ERASED)]);
    let message = &search.messages[&(THREAD, 1)];
    assert_eq!((message.text.body(), message.text.folded(), message.text.terms.len()), (None, None, 0));
}

#[test]
fn what_happens_beside_messages_and_members_is_nothing_here() {
    assert!(projected([ThreadEvent::Renamed { title: Text::new("title"), number: 0 }]).is_empty());
    assert!(!projected([ThreadEvent::MemberLeft { number: 0 }]).is_empty());
}

#[test]
fn few_messages_of_many_words_fill_a_batch() {
    let body = (0..1_000).map(|word| word.to_string()).collect::<Vec<_>>().join(" ");
    let messages = |count| projected((1..=count).map(|number| sent(number, Text::new(&body))));
    assert!(!messages(10).is_full());
    assert!(messages(u32::try_from(MOST_POSTINGS / 1_000).unwrap()).is_full());
}

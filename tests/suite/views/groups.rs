//! What the views say of groups: to members from their newest joining on, to
//! nobody else anything.

use super::{Running, Scribe, connect, views};
use crate::harness::Deployment;
use events::{
    Aggregate, Emoji, MessageKey, Position, Text, ThreadEvent, ThreadId, UserEvent, UserId,
    clock::millis,
    event::{Number, Role},
};
use query::{
    Views,
    missed::{Missed, Span, What},
    timeline::{Change, Entry, Page, Place},
};
use sqlx::Row;
use std::io::{Write, stderr};

/// A group of Anna's, with Ben; Cara is a stranger.
struct Scene {
    scribe: Scribe,
    running: Running,
    views: Views,
    thread_id: ThreadId,
    anna: UserId,
    ben: UserId,
    cara: UserId,
    _deployment: Deployment,
}

impl Scene {
    async fn open() -> Self {
        let deployment = Deployment::new().await;
        let mut scribe = Scribe::new(&deployment.log);
        let running = Running::start(&deployment, 100);
        let (anna, ben, cara) = (scribe.person("anna").await, scribe.person("ben").await, scribe.person("cara").await);
        let thread_id = ThreadId::from_uuid(scribe.ids.next());
        let views = views(&deployment);
        let mut scene = Self { scribe, running, views, thread_id, anna, ben, cara, _deployment: deployment };
        let title = Text::new("group");
        scene.happens(anna, ThreadEvent::GroupCreated { title, members: vec![ben] }).await;
        scene
    }

    async fn happens(&mut self, by: UserId, event: ThreadEvent) -> Position {
        self.scribe.write(Aggregate::Thread(self.thread_id), Some(by), event).await
    }

    async fn sends(&mut self, by: UserId, number: Number, mentions: Vec<UserId>) -> Position {
        let key = MessageKey::from_uuid(self.scribe.ids.next());
        let body = Text::new(&format!("message {number}"));
        self.happens(
            by,
            ThreadEvent::MessageSent { number, key, body, reply_to: None, opens: None, mentions, attachments: vec![] },
        )
        .await
    }

    async fn abreast(&mut self) {
        self.running.reach(&self.scribe.written).await;
    }

    async fn history(&self, reader: UserId, page: Page, limit: u16) -> Option<Vec<Entry>> {
        self.views.history(reader, self.thread_id, page, limit).await.unwrap().value
    }

    async fn missed(&self, reader: UserId, after: u64, limit: u16) -> Option<Vec<Missed>> {
        let span = Span { thread_id: self.thread_id, after, upto: u64::MAX };
        self.views.missed(reader, &[span], limit).await.unwrap().value
    }
}

/// An entry in short.
fn short(entry: &Entry) -> String {
    match entry {
        Entry::Message(message) => format!("{}", message.number),
        Entry::Notice(notice) => match &notice.change {
            Change::Created { title } => format!("{} created {}", notice.number, title.as_deref().unwrap()),
            Change::Renamed { title } => format!("{} renamed {}", notice.number, title.as_deref().unwrap()),
            Change::MemberAdded { role, .. } => format!("{} added {role:?}", notice.number),
            Change::MemberRemoved { .. } => format!("{} removed", notice.number),
            Change::MemberLeft => format!("{} left", notice.number),
            Change::RoleChanged { role, .. } => format!("{} is {role:?}", notice.number),
            Change::PictureChanged { picture } => format!("{} looks like {picture:?}", notice.number),
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_shows_notices_between_messages_in_pages_of_any_size() {
    let mut scene = Scene::open().await;
    let (anna, ben, cara) = (scene.anna, scene.ben, scene.cara);
    scene.sends(anna, 1, vec![]).await;
    scene.happens(anna, ThreadEvent::MemberAdded { user_id: cara, role: Role::Member, number: 1 }).await;
    scene.happens(anna, ThreadEvent::RoleChanged { user_id: cara, role: Role::Admin, number: 1 }).await;
    scene.sends(ben, 2, vec![]).await;
    scene.happens(cara, ThreadEvent::Renamed { title: Text::new("other"), number: 2 }).await;
    scene.happens(anna, ThreadEvent::MemberRemoved { user_id: ben, number: 2 }).await;
    scene.sends(cara, 3, vec![]).await;
    scene.happens(cara, ThreadEvent::MemberLeft { number: 3 }).await;
    scene.abreast().await;
    let all =
        ["0 created group", "1", "1 added Member", "1 is Admin", "2", "2 renamed other", "2 removed", "3", "3 left"];
    for limit in 1..=all.len() + 1 {
        let page_size = u16::try_from(limit).unwrap();
        let (mut forth, mut back) = (Vec::new(), Vec::new());
        let mut page = Page::After(Place { number: 0, sequence: 0 });
        while let Some(last) = {
            let entries = scene.history(anna, page, page_size).await.unwrap();
            forth.extend(entries.iter().map(short));
            entries.last().map(Entry::place)
        } {
            page = Page::After(last);
        }
        assert_eq!(forth, all, "in pages of {limit}");
        let mut page = Page::Latest;
        while let Some(last) = {
            let entries = scene.history(anna, page, page_size).await.unwrap();
            back.extend(entries.iter().map(short));
            entries.last().map(Entry::place)
        } {
            page = Page::Before(last);
        }
        back.reverse();
        assert_eq!(back, all, "in pages of {limit}, backwards");
    }
    let before_two = scene.history(anna, Page::Before(Place { number: 2, sequence: 0 }), 100).await.unwrap();
    assert_eq!(
        before_two.iter().map(short).collect::<Vec<_>>(),
        ["1 is Admin", "1 added Member", "1", "0 created group"]
    );
    assert_eq!(scene.history(ben, Page::Latest, 100).await, None);
    assert_eq!(scene.history(cara, Page::Latest, 100).await, None);
    scene.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_away_sees_from_their_return_on_and_nothing_else() {
    let mut scene = Scene::open().await;
    let (anna, ben) = (scene.anna, scene.ben);
    scene.sends(anna, 1, vec![ben]).await;
    let removed = scene.happens(anna, ThreadEvent::MemberRemoved { user_id: ben, number: 1 }).await;
    scene.sends(anna, 2, vec![]).await;
    scene.abreast().await;
    assert_eq!(scene.history(ben, Page::Latest, 100).await, None);
    assert_eq!(scene.views.thread(ben, scene.thread_id).await.unwrap().value, None);
    assert_eq!(scene.views.members(ben, scene.thread_id, None, 9).await.unwrap().value, None);
    assert_eq!(scene.views.receipts(ben, scene.thread_id).await.unwrap().value, None);
    assert_eq!(scene.views.threads(ben, false, None, 9).await.unwrap().value.items, []);
    let left = scene.views.memberships(ben).await.unwrap().value;
    assert_eq!(left[0].left_sequence, Some(removed.sequence));
    assert_eq!(scene.views.thread(anna, scene.thread_id).await.unwrap().value.unwrap().member_count, 1);

    scene.happens(anna, ThreadEvent::MemberAdded { user_id: ben, role: Role::Admin, number: 2 }).await;
    scene.abreast().await;
    let thread = scene.views.thread(ben, scene.thread_id).await.unwrap().value.unwrap();
    assert_eq!((thread.unread, thread.mentions_unread, thread.last_message), (0, 0, None));
    scene.sends(anna, 3, vec![ben]).await;
    scene.abreast().await;
    let seen = scene.history(ben, Page::Latest, 100).await.unwrap();
    assert_eq!(seen.iter().map(short).collect::<Vec<_>>(), ["3", "2 added Admin"]);
    assert_eq!(scene.views.message(ben, scene.thread_id, 1).await.unwrap().value, None);
    let thread = scene.views.thread(ben, scene.thread_id).await.unwrap().value.unwrap();
    assert_eq!((thread.unread, thread.mentions_unread, thread.role, thread.member_count), (1, 1, Role::Admin, 2));
    let receipts = scene.views.receipts(anna, scene.thread_id).await.unwrap().value.unwrap();
    assert!(receipts.iter().find(|receipt| receipt.user_id == ben).unwrap().read.is_none());
    scene.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_a_message_is_shown_and_a_deleted_text_is_nowhere() {
    let mut scene = Scene::open().await;
    let (anna, ben, thread_id) = (scene.anna, scene.ben, scene.thread_id);
    let thumb: Emoji = "👍".parse().unwrap();
    let heart: Emoji = "❤️".parse().unwrap();
    scene.sends(anna, 1, vec![ben]).await;
    for (by, emoji) in [(ben, &thumb), (anna, &thumb), (ben, &heart)] {
        scene.happens(by, ThreadEvent::ReactionAdded { number: 1, emoji: emoji.clone() }).await;
    }
    scene.happens(ben, ThreadEvent::ReactionRemoved { number: 1, emoji: heart }).await;
    scene.happens(anna, ThreadEvent::MessageEdited { number: 1, body: Text::new("other"), mentions: vec![] }).await;
    scene.abreast().await;
    let message = scene.views.message(ben, thread_id, 1).await.unwrap().value.unwrap();
    assert_eq!((message.body.as_deref(), message.edited_at), (Some("other"), Some(millis(scene.scribe.at()))));
    assert_eq!(message.reactions.into_iter().collect::<Vec<_>>(), [("👍".to_owned(), vec![ben, anna])]);
    assert_eq!(message.mentions, []);
    let thread = scene.views.thread(ben, thread_id).await.unwrap().value.unwrap();
    assert_eq!((thread.unread, thread.mentions_unread), (1, 0));
    assert_eq!(thread.last_message.unwrap().body.as_deref(), Some("other"));
    let found = scene.views.find_key(thread_id, anna, message.key).await.unwrap().value.unwrap();
    assert_eq!((found.number, found.body), (1, None));

    scene.happens(ben, ThreadEvent::MessageDeleted { number: 1, attachments: Vec::new() }).await;
    scene.abreast().await;
    let message = scene.views.message(ben, thread_id, 1).await.unwrap().value.unwrap();
    assert_eq!((message.body, message.deleted_at), (None, Some(millis(scene.scribe.at()))));
    assert!(message.reactions.is_empty());
    let last = scene.views.thread(ben, thread_id).await.unwrap().value.unwrap().last_message.unwrap();
    assert_eq!((last.body, last.deleted_at), (None, Some(millis(scene.scribe.at()))));
    let missed = scene.missed(anna, 0, 100).await.unwrap();
    assert!(!format!("{missed:?}").contains("other"), "{missed:?}");
    scene.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_told_once_in_order_and_up_to_ones_leaving() {
    let mut scene = Scene::open().await;
    let (anna, ben, cara) = (scene.anna, scene.ben, scene.cara);
    let mut sequences = Vec::new();
    for number in 1..=100 {
        sequences.push(scene.sends(anna, number, vec![]).await.sequence);
    }
    sequences.push(scene.happens(anna, ThreadEvent::Renamed { title: Text::new("x"), number: 100 }).await.sequence);
    sequences.push(scene.happens(anna, ThreadEvent::MemberRemoved { user_id: ben, number: 100 }).await.sequence);
    let later = scene.sends(anna, 101, vec![]).await.sequence;
    scene.abreast().await;
    let told = |missed: Vec<Missed>| missed.iter().map(|missed| missed.sequence).collect::<Vec<_>>();
    for from in [0, 1, 50, 98, 99, 100, 101] {
        let expected = &sequences[from + 1..];
        assert_eq!(told(scene.missed(ben, sequences[from], 1_000).await.unwrap()), expected, "from {from}");
        let to_anna = scene.missed(anna, sequences[from], 1_000).await.unwrap();
        assert_eq!(told(to_anna), [expected, &[later]].concat());
    }
    assert_eq!(scene.missed(cara, 0, 1_000).await.unwrap(), []);
    assert_eq!(scene.missed(anna, 0, 50).await, None);
    let first = scene.missed(anna, 0, 1_000).await.unwrap().swap_remove(0);
    assert!(matches!(first.what, What::Notice(Change::Created { .. })));
    let span = Span { thread_id: scene.thread_id, after: sequences[9], upto: sequences[19] };
    let some = scene.views.missed(anna, &[span], 1_000).await.unwrap().value.unwrap();
    assert_eq!(told(some), sequences[10..=19]);
    scene.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_text_became_after_somebody_left_is_not_told_to_them() {
    let mut scene = Scene::open().await;
    let (anna, ben) = (scene.anna, scene.ben);
    scene.sends(anna, 1, vec![]).await;
    scene.sends(anna, 2, vec![]).await;
    let edited = |number, body: &str, mentions| ThreadEvent::MessageEdited { number, body: Text::new(body), mentions };
    scene.happens(anna, edited(2, "for all", vec![])).await;
    scene.happens(anna, ThreadEvent::MemberRemoved { user_id: ben, number: 2 }).await;
    scene.happens(anna, edited(1, "not for ben", vec![anna])).await;
    scene.abreast().await;
    let texts = async |reader| {
        let missed = scene.missed(reader, 0, 100).await.unwrap().into_iter();
        let texts = missed.filter_map(|missed| {
            let What::Message { number, body, mentions, .. } = missed.what else { return None };
            Some((number, body, mentions))
        });
        texts.collect::<Vec<_>>()
    };
    let two = (2, Some("for all".to_owned()), vec![]);
    assert_eq!(texts(ben).await, [(1, None, vec![]), two.clone()]);
    assert_eq!(texts(anna).await, [(1, Some("not for ben".to_owned()), vec![anna]), two]);
    scene.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_that_moved_are_told_to_those_who_hear_of_them() {
    let mut scene = Scene::open().await;
    let (anna, ben, cara, thread_id) = (scene.anna, scene.ben, scene.cara, scene.thread_id);
    scene.sends(anna, 1, vec![]).await;
    let sent = scene.sends(anna, 2, vec![]).await.sequence;
    scene.scribe.receive(thread_id, ben, 2, 1).await;
    scene.abreast().await;
    let span = |after| [Span { thread_id, after, upto: u64::MAX }];
    let moved = scene.views.moved_receipts(anna, &span(sent)).await.unwrap().value.unwrap();
    let told: Vec<_> = moved.iter().map(|one| (one.user_id, one.delivered, one.read)).collect();
    assert_eq!(told, [(ben, Some(2), Some(1))]);
    let end = scene.scribe.written.iter().map(|position| position.sequence).max().unwrap();
    assert_eq!(scene.views.moved_receipts(anna, &span(end)).await.unwrap().value.unwrap(), []);
    assert_eq!(scene.views.moved_receipts(cara, &span(0)).await.unwrap().value.unwrap(), []);
    scene.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_ones_own_and_archived_threads_are_a_list_of_their_own() {
    let mut scene = Scene::open().await;
    let (anna, ben, thread_id) = (scene.anna, scene.ben, scene.thread_id);
    let until = millis(2_000_000_000_000);
    let settings =
        |archived| UserEvent::ThreadSettingsChanged { thread_id, muted_until: Some(until), archived, pinned: true };
    scene.scribe.write(Aggregate::User(ben), Some(ben), settings(true)).await;
    scene.abreast().await;
    let listed = async |reader, archived| scene.views.threads(reader, archived, None, 9).await.unwrap().value.items;
    assert_eq!((listed(ben, false).await.len(), listed(anna, true).await.len()), (0, 0));
    let thread = listed(ben, true).await.swap_remove(0);
    assert_eq!((thread.muted_until, thread.archived, thread.pinned), (Some(until), true, true));
    let thread = listed(anna, false).await.swap_remove(0);
    assert_eq!((thread.muted_until, thread.archived, thread.pinned), (None, false, false));
    assert_eq!((thread.title.as_deref(), thread.role), (Some("group"), Role::Owner));
    scene.scribe.write(Aggregate::User(ben), Some(ben), settings(false)).await;
    scene.abreast().await;
    assert_eq!(scene.views.threads(ben, true, None, 9).await.unwrap().value.items, []);
    scene.running.stop().await;
}

/// `cargo test --test suite as_many_bytes -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures what all of Postgres writes: to be run alone"]
async fn a_message_writes_as_many_bytes_of_wal_in_a_group_of_a_thousand_as_in_a_pair() {
    // Each in a database of its own: how the pages of an index fill depends on what else it holds.
    let (pair, group) = (wal_of_a_message(2).await, wal_of_a_message(1_000).await);
    writeln!(stderr(), "bytes of WAL a message: {pair} among 2, {group} among 1,000").unwrap();
    assert!(group * 100 <= pair * 105);
}

/// Bytes, in batches of 20 messages.
async fn wal_of_a_message(members: usize) -> i64 {
    const MESSAGES: u32 = 5_000;
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let anna = scribe.person("anna").await;
    let thread = Aggregate::Thread(ThreadId::from_uuid(scribe.ids.next()));
    let others = (1..members).map(|_| UserId::from_uuid(scribe.ids.next())).collect();
    let created = ThreadEvent::GroupCreated { title: Text::new("group"), members: others };
    scribe.write(thread, Some(anna), created).await;
    let mut connection = connect(&deployment).await;
    let lsn = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint";
    let mut bytes = 0;
    // After a checkpoint each page is written whole once: that is not the messages' doing.
    sqlx::query("CHECKPOINT").execute(&mut connection).await.unwrap();
    for numbers in [1..=MESSAGES, MESSAGES + 1..=2 * MESSAGES] {
        for number in numbers {
            let (key, body) = (MessageKey::from_uuid(scribe.ids.next()), Text::new("as long as a message is"));
            let sent = ThreadEvent::MessageSent {
                number,
                key,
                body,
                reply_to: None,
                opens: None,
                mentions: vec![],
                attachments: vec![],
            };
            scribe.write(thread, Some(anna), sent).await;
        }
        let before: i64 = sqlx::query(lsn).fetch_one(&mut connection).await.unwrap().get(0);
        let mut running = Running::start(&deployment, 20);
        running.reach(&scribe.written).await;
        running.stop().await;
        let after: i64 = sqlx::query(lsn).fetch_one(&mut connection).await.unwrap().get(0);
        bytes = after - before;
    }
    bytes / i64::from(MESSAGES)
}

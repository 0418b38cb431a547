//! Every shape ever stored, as the bytes that were stored: what a build writes
//! today is compared byte by byte, what any build wrote decodes for ever.

use crate::{
    Aggregate, Attachment, AttachmentId, Emoji, Event, EventId, GatewayId, MessageKey, Partition, Position, SessionId,
    Text, ThreadId, Timestamp, Trace, UserId,
    clock::millis,
    envelope::{Draft, SealedEnvelope},
    event::{Adders, DeploymentEvent, PresenceEvent, Receipt, ReceiptEvent, Role, ThreadEvent, UserEvent, Viewers},
    seal::AuthorKey,
};
use std::path::PathBuf;
use uuid::Uuid;

const ADA: UserId = UserId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_000a));
const BOB: UserId = UserId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_000b));
const SESSION: SessionId = SessionId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
const OLDEST: SessionId = SessionId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002));
const KEY: MessageKey = MessageKey::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0003));

const GATEWAY: GatewayId = GatewayId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0006));
const FILE: AttachmentId = AttachmentId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0004));
const OLD_FILE: AttachmentId = AttachmentId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0005));

fn draft(aggregate: Aggregate, by: Option<UserId>, event: impl Into<Event>) -> Draft {
    let id = EventId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_00ff));
    Draft { aggregate, id, by, at: millis(1_764_000_000_123), event: event.into() }
}

fn profile(
    display_name: Option<&str>,
    about: Option<&str>,
    last_seen_visible_to: Option<Viewers>,
    may_add_me: Option<Adders>,
) -> UserEvent {
    let (display_name, about) = (display_name.map(Text::new), about.map(Text::new));
    UserEvent::ProfileChanged { display_name, about, last_seen_visible_to, may_add_me }
}

fn greeting() -> ThreadEvent {
    let body = Text::new("Grüße 👋\nfrom Ada");
    ThreadEvent::MessageSent {
        number: 2,
        key: KEY,
        body,
        reply_to: None,
        opens: None,
        mentions: Vec::new(),
        attachments: Vec::new(),
    }
}

fn picture() -> Attachment {
    Attachment {
        attachment_id: FILE,
        name: Text::new("Strand.jpg"),
        media_type: "image/jpeg".parse().unwrap(),
        size: 123_456,
        width: Some(1_920),
        height: Some(1_080),
    }
}

fn attached() -> ThreadEvent {
    let plain = Attachment {
        attachment_id: OLD_FILE,
        name: Text::new("notes.txt"),
        media_type: "text/plain".parse().unwrap(),
        size: 12,
        width: None,
        height: None,
    };
    ThreadEvent::MessageSent {
        number: 3,
        key: KEY,
        body: Text::new(""),
        reply_to: None,
        opens: None,
        mentions: Vec::new(),
        attachments: vec![picture(), plain],
    }
}

fn thumb() -> Emoji {
    "👍🏽".parse().unwrap()
}

fn settings(muted_until: Option<Timestamp>) -> UserEvent {
    let thread_id = ThreadId::direct(ADA, BOB);
    UserEvent::ThreadSettingsChanged { thread_id, muted_until, archived: true, pinned: false }
}

#[expect(clippy::too_many_lines, reason = "a list")]
pub(crate) fn samples() -> Vec<(&'static str, Draft)> {
    let of_gateway = |event: PresenceEvent| draft(Aggregate::Gateway(GATEWAY), None, event);
    let (ada, thread) = (Aggregate::User(ADA), Aggregate::Thread(ThreadId::direct(ADA, BOB)));
    let text = Text::new;
    let by_ada = |event: ThreadEvent| draft(thread, Some(ADA), event);
    vec![
        (
            "signed_up.1",
            draft(ada, Some(ADA), UserEvent::SignedUp { username: text("ada"), display_name: text("Ada L.") }),
        ),
        (
            "session_opened.1",
            draft(ada, Some(ADA), UserEvent::SessionOpened { session_id: SESSION, device: None, replaces: None }),
        ),
        (
            "session_opened.1.full",
            draft(
                ada,
                Some(ADA),
                UserEvent::SessionOpened {
                    session_id: SESSION,
                    device: Some(text("Ada's telephone")),
                    replaces: Some(OLDEST),
                },
            ),
        ),
        ("session_revoked.1", draft(ada, Some(ADA), UserEvent::SessionRevoked { session_id: SESSION })),
        (
            "password_changed.1",
            draft(ada, Some(ADA), UserEvent::PasswordChanged { epoch: 1, ends: vec![OLDEST, SESSION] }),
        ),
        ("profile_changed.1", draft(ada, Some(ADA), profile(None, None, Some(Viewers::Nobody), None))),
        (
            "profile_changed.1.full",
            draft(
                ada,
                Some(ADA),
                profile(
                    Some("Ada Lovelace"),
                    Some("Enchantress of numbers"),
                    Some(Viewers::Contacts),
                    Some(Adders::Contacts),
                ),
            ),
        ),
        ("direct_opened.1", draft(thread, Some(ADA), ThreadEvent::DirectOpened { peer: BOB })),
        ("message_sent.1", draft(thread, Some(ADA), greeting())),
        (
            "message_sent.1.full",
            draft(
                thread,
                Some(ADA),
                ThreadEvent::MessageSent {
                    number: 1,
                    key: KEY,
                    body: text("hello"),
                    reply_to: Some(1),
                    opens: Some(BOB),
                    mentions: Vec::new(),
                    attachments: Vec::new(),
                },
            ),
        ),
        (
            "message_sent.1.mentioning",
            draft(
                thread,
                Some(ADA),
                ThreadEvent::MessageSent {
                    number: 3,
                    key: KEY,
                    body: text("@bob?"),
                    reply_to: None,
                    opens: None,
                    mentions: vec![BOB],
                    attachments: Vec::new(),
                },
            ),
        ),
        ("message_sent.1.traced", draft(thread, Some(ADA), greeting())),
        ("message_edited.1", by_ada(ThreadEvent::MessageEdited { number: 3, body: text("bob?"), mentions: vec![] })),
        (
            "message_edited.1.mentioning",
            by_ada(ThreadEvent::MessageEdited { number: 3, body: text("@bob!"), mentions: vec![BOB] }),
        ),
        ("message_deleted.1", by_ada(ThreadEvent::MessageDeleted { number: 3, attachments: Vec::new() })),
        ("message_deleted.1.attached", by_ada(ThreadEvent::MessageDeleted { number: 3, attachments: vec![FILE] })),
        ("message_sent.1.attached", by_ada(attached())),
        (
            "picture_changed.1.user",
            draft(ada, Some(ADA), UserEvent::PictureChanged { picture: Some(picture()), replaces: None }),
        ),
        (
            "picture_changed.1.user.removed",
            draft(ada, Some(ADA), UserEvent::PictureChanged { picture: None, replaces: Some(OLD_FILE) }),
        ),
        (
            "picture_changed.1.thread",
            by_ada(ThreadEvent::PictureChanged { picture: Some(picture()), replaces: Some(OLD_FILE), number: 3 }),
        ),
        ("reaction_added.1", by_ada(ThreadEvent::ReactionAdded { number: 3, emoji: thumb() })),
        ("reaction_removed.1", by_ada(ThreadEvent::ReactionRemoved { number: 3, emoji: thumb() })),
        ("group_created.1", by_ada(ThreadEvent::GroupCreated { title: text("Engines"), members: vec![BOB] })),
        ("renamed.1", by_ada(ThreadEvent::Renamed { title: text("Analytical engines"), number: 3 })),
        ("member_added.1", by_ada(ThreadEvent::MemberAdded { user_id: BOB, role: Role::Admin, number: 3 })),
        ("member_removed.1", by_ada(ThreadEvent::MemberRemoved { user_id: BOB, number: 3 })),
        ("member_left.1", by_ada(ThreadEvent::MemberLeft { number: 3 })),
        ("role_changed.1", by_ada(ThreadEvent::RoleChanged { user_id: BOB, role: Role::Owner, number: 3 })),
        ("peer_blocked.1", by_ada(ThreadEvent::PeerBlocked { peer: BOB })),
        ("peer_unblocked.1", by_ada(ThreadEvent::PeerUnblocked { peer: BOB })),
        ("contact_saved.1", draft(ada, Some(ADA), UserEvent::ContactSaved { user_id: BOB, alias: None })),
        (
            "contact_saved.1.alias",
            draft(ada, Some(ADA), UserEvent::ContactSaved { user_id: BOB, alias: Some(text("Babbage")) }),
        ),
        ("contact_removed.1", draft(ada, Some(ADA), UserEvent::ContactRemoved { user_id: BOB })),
        ("thread_settings_changed.1", draft(ada, Some(ADA), settings(None))),
        ("thread_settings_changed.1.muted", draft(ada, Some(ADA), settings(Some(millis(1_764_000_600_000))))),
        ("presence_changed.1", of_gateway(PresenceEvent::PresenceChanged { came: vec![ADA], went: vec![BOB] })),
        ("presence_changed.1.nobody", of_gateway(PresenceEvent::PresenceChanged { came: vec![], went: vec![] })),
        ("gateway_lost.1", of_gateway(PresenceEvent::GatewayLost {})),
        (
            "receipts_advanced.1",
            draft(
                Aggregate::Receipts(Partition(1)),
                None,
                ReceiptEvent::ReceiptsAdvanced {
                    receipts: vec![Receipt {
                        thread_id: ThreadId::direct(ADA, BOB),
                        user_id: BOB,
                        delivered: 2,
                        read: 1,
                    }],
                },
            ),
        ),
        ("data_exported.1", draft(ada, Some(ADA), UserEvent::DataExported {})),
        (
            "message_reported.1",
            draft(
                ada,
                Some(ADA),
                UserEvent::MessageReported {
                    thread_id: ThreadId::direct(ADA, BOB),
                    number: 2,
                    reason: text("it threatens me"),
                },
            ),
        ),
        (
            "report_resolved.1",
            draft(
                ada,
                Some(BOB),
                UserEvent::ReportResolved {
                    thread_id: ThreadId::direct(ADA, BOB),
                    number: 2,
                    reason: text("the sender was warned"),
                },
            ),
        ),
        (
            "suspended.1",
            draft(ada, Some(BOB), UserEvent::Suspended { reason: text("threatens others"), ends: vec![SESSION] }),
        ),
        ("restored.1", draft(ada, Some(BOB), UserEvent::Restored { reason: text("it was somebody else") })),
        (
            "operator_added.1",
            draft(Aggregate::Deployment, Some(BOB), DeploymentEvent::OperatorAdded { name: text("Bob") }),
        ),
        ("operator_removed.1", draft(Aggregate::Deployment, Some(BOB), DeploymentEvent::OperatorRemoved {})),
        (
            "sign_up_closed.1",
            draft(Aggregate::Deployment, Some(BOB), DeploymentEvent::SignUpClosed { reason: text("a flood") }),
        ),
        (
            "sign_up_opened.1",
            draft(Aggregate::Deployment, Some(BOB), DeploymentEvent::SignUpOpened { reason: text("it is over") }),
        ),
        ("user_audited.1", draft(Aggregate::Deployment, Some(BOB), DeploymentEvent::UserAudited { user_id: ADA })),
        (
            "thread_audited.1",
            draft(
                Aggregate::Deployment,
                Some(BOB),
                DeploymentEvent::ThreadAudited { thread_id: ThreadId::direct(ADA, BOB) },
            ),
        ),
    ]
}

/// Only a fact of a sampled trace says which.
fn trace(name: &str) -> Option<Trace> {
    name.ends_with(".traced").then(|| "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7".parse().unwrap())
}

pub(crate) fn stored(name: &str) -> (PathBuf, Option<Vec<u8>>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.json"));
    let bytes = std::fs::read(&path).ok();
    (path, bytes)
}

#[test]
fn every_shape_is_stored_as_it_always_was_and_decodes() {
    let key = AuthorKey::new(&[7; 32]);
    let position = Position { partition: Partition(1), sequence: 42 };
    for (name, draft) in samples() {
        let (path, golden) = stored(name);
        let bytes = draft.encode(Some(&key), trace(name)).unwrap();
        let golden =
            golden.unwrap_or_else(|| panic!("{} is missing: {}", path.display(), String::from_utf8_lossy(&bytes)));
        assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&golden), "{name}");
        let decoded = SealedEnvelope::decode(position, draft.aggregate, &golden).unwrap().unseal(Some(&key)).unwrap();
        assert_eq!(decoded, draft.into_envelope(position, trace(name)), "{name}");
    }
}

#[test]
fn every_golden_file_has_its_sample() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let mut expected: Vec<_> = samples().iter().map(|(name, _)| format!("{name}.json")).collect();
    files.sort();
    expected.sort();
    assert_eq!(files, expected);
}

#[test]
fn without_the_authors_key_the_fact_stays_and_the_text_is_gone() {
    let position = Position { partition: Partition(1), sequence: 42 };
    for (name, draft) in samples() {
        let bytes = stored(name).1.unwrap();
        let mut erased = SealedEnvelope::decode(position, draft.aggregate, &bytes).unwrap().unseal(None).unwrap();
        assert!(erased.event.texts_mut().iter().all(|text| **text == Text::ERASED), "{name}");
    }
}

#[test]
fn a_text_opens_neither_with_another_key_nor_in_another_thread_nor_under_another_id() {
    let (key, other) = (AuthorKey::new(&[7; 32]), AuthorKey::new(&[8; 32]));
    let position = Position { partition: Partition(1), sequence: 42 };
    let bytes = stored("message_sent.1").1.unwrap();
    let thread = Aggregate::Thread(ThreadId::direct(ADA, BOB));
    let elsewhere = Aggregate::Thread(ThreadId::direct(ADA, ADA));
    let open = |bytes: &[u8], aggregate, key| {
        SealedEnvelope::decode(position, aggregate, bytes).unwrap().unseal(Some(key)).is_ok()
    };
    assert!(open(&bytes, thread, &key));
    assert!(!open(&bytes, thread, &other));
    assert!(!open(&bytes, elsewhere, &key));
    let renamed = String::from_utf8(bytes).unwrap().replace("0000000000ff", "0000000000fe");
    assert!(!open(renamed.as_bytes(), thread, &key));
}

#[test]
fn what_this_build_does_not_know_is_refused_whole() {
    let position = Position { partition: Partition(1), sequence: 42 };
    let thread = Aggregate::Thread(ThreadId::direct(ADA, BOB));
    let known = String::from_utf8(stored("direct_opened.1").1.unwrap()).unwrap();
    let unknown_type = known.replace("direct_opened.1", "direct_opened.2");
    let unknown_field = known.replace("\"peer\"", "\"extra\":1,\"peer\"");
    let unknown_envelope = known.replacen('{', "{\"extra\":1,", 1);
    for bytes in [unknown_type, unknown_field, unknown_envelope] {
        assert!(SealedEnvelope::decode(position, thread, bytes.as_bytes()).is_err(), "{bytes}");
    }
}

#[test]
fn readable_text_is_never_stored() {
    assert!(serde_json::to_string(&Text::new("secret")).is_err());
    assert!(!format!("{:?}", Text::new("secret")).contains("secret"));
    let (_, draft) = samples().remove(0);
    assert!(draft.encode(None, None).is_err());
}

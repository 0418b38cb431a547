use super::*;
use events::{Attachment, AttachmentId, Text, UserId, Vector};
use uuid::Uuid;

fn parse(text: &str) -> ClientFrame {
    ClientFrame::parse(text).unwrap_or_else(|bad| panic!("{text}: {bad}"))
}

#[test]
fn a_hello_may_resume() {
    let resume = Some(Resume { vector: "0:17,3:1289".parse().unwrap(), epoch: None });
    assert_eq!(
        parse(r#"{"type":"hello","token":"t","resume":"0:17,3:1289","device":"phone"}"#),
        ClientFrame::Hello { token: "t".to_owned(), resume }
    );
    assert_eq!(
        parse(r#"{"token":"t","resume":null,"type":"hello"}"#),
        ClientFrame::Hello { token: "t".to_owned(), resume: None }
    );
}

#[test]
fn a_send_has_the_fields_of_rest_and_an_id() {
    let ClientFrame::Send(send) =
        parse(r#"{"type":"send","id":"1","thread_id":"x","key":"k","body":"hi","reply_to":3}"#)
    else {
        panic!("no send")
    };
    assert_eq!(send.id, RequestId::Text("1".to_owned()));
    assert_eq!((send.thread_id.as_deref(), send.to.as_deref(), send.reply_to), (Some("x"), None, Some(3)));
    let ClientFrame::Send(send) = parse(r#"{"type":"send","id":7,"to":"x","key":"k","body":"hi"}"#) else {
        panic!("no send")
    };
    assert_eq!(send.id, RequestId::Number(7));
}

#[test]
fn changes_of_a_message_name_it_by_its_number() {
    let change = |rest: &str| {
        let parsed = parse(&format!(r#"{{"id":"1","thread_id":"x","number":3,{rest}}}"#));
        let ClientFrame::Amend(AmendFrame { id, thread_id, number, change, .. }) = parsed else { panic!("{parsed:?}") };
        assert_eq!((id, thread_id.as_str(), number), (RequestId::Text("1".to_owned()), "x", 3));
        change
    };
    let (body, emoji) = ("ho".to_owned(), "👍".to_owned());
    assert_eq!(change(r#""type":"edit","body":"ho""#), Amendment::Edit { body });
    assert_eq!(change(r#""type":"delete""#), Amendment::Delete);
    assert_eq!(change(r#""type":"react","emoji":"👍""#), Amendment::React { emoji: emoji.clone() });
    assert_eq!(change(r#""type":"unreact","emoji":"👍""#), Amendment::Unreact { emoji });
}

#[test]
fn a_faulty_request_is_answered_and_does_not_end_the_socket() {
    for text in [
        r#"{"type":"send","id":"1","thread_id":"x","body":"hi"}"#,
        r#"{"type":"send","id":"1","thread_id":"x","key":"k","body":"hi","sender_id":"y"}"#,
        r#"{"type":"send","id":"1","thread_id":"x","key":"k","body":7}"#,
        r#"{"type":"send","id":"1","thread_id":"x","key":"k","body":"hi","reply_to":-1}"#,
        r#"{"type":"send","id":"1","thread_id":"x","key":"k","key":"k","body":"hi"}"#,
        r#"{"type":"edit","id":"1","thread_id":"x","number":1}"#,
        r#"{"type":"edit","id":"1","thread_id":"x","number":1,"body":"hi","key":"k"}"#,
        r#"{"type":"delete","id":"1","thread_id":"x"}"#,
        r#"{"type":"delete","id":"1","thread_id":"x","number":1,"emoji":"x"}"#,
        r#"{"type":"react","id":"1","thread_id":"x","number":1}"#,
        r#"{"type":"unreact","id":"1","thread_id":"x","number":"1","emoji":"x"}"#,
    ] {
        assert!(matches!(parse(text), ClientFrame::Refused { .. }), "{text}");
    }
}

#[test]
fn who_is_watched_are_500_people_at_the_most() {
    let id = "0190b5a0-0000-7000-8000-000000000000";
    let watch =
        |count: usize| format!(r#"{{"type":"watch","user_ids":[{}]}}"#, vec![format!("\"{id}\""); count].join(","));
    let user_ids = vec![id.parse().unwrap(); 500];
    assert_eq!(parse(&watch(500)), ClientFrame::Watch { user_ids });
    assert!(ClientFrame::parse(&watch(501)).is_err());
    assert_eq!(
        parse(&format!(r#"{{"type":"typing","thread_id":"{id}"}}"#)),
        ClientFrame::Typing { thread_id: id.parse().unwrap() }
    );
}

#[test]
fn all_else_is_a_bad_frame() {
    for text in [
        "",
        "hello",
        "[]",
        "{}",
        r#"{"type":7}"#,
        r#"{"type":"nonsense"}"#,
        r#"{"type":"nonsense","id":"1"}"#,
        r#"{"type":"hello"}"#,
        r#"{"type":"hello","token":"t","resume":"1:x"}"#,
        r#"{"type":"hello","token":"t","resume":"1:7","epoch":"mine"}"#,
        r#"{"type":"hello","token":"t","more":1}"#,
        r#"{"type":"hello","token":"t","token":"t"}"#,
        r#"{"type":"hello","type":"hello","token":"t"}"#,
        r#"{"type":"hello","token":"\ud800"}"#,
        r#"{"type":"hello","token":"t"} {}"#,
        r#"{"type":"send","thread_id":"x","key":"k","body":"hi"}"#,
        r#"{"type":"send","id":null,"thread_id":"x","key":"k","body":"hi"}"#,
        r#"{"type":"send","id":{},"thread_id":"x","key":"k","body":"hi"}"#,
        r#"{"type":"receipt","thread_id":"x","read":1}"#,
        r#"{"type":"receipt","read":1}"#,
        r#"{"type":"typing","thread_id":"x"}"#,
        r#"{"type":"typing"}"#,
        r#"{"type":"watch"}"#,
        r#"{"type":"watch","user_ids":["x"]}"#,
        r#"{"type":"receipt","thread_id":"0190b5a0-0000-7000-8000-000000000000","read":4294967296}"#,
        r#"{"type":"ping","vector":"0:1"}"#,
    ] {
        assert!(ClientFrame::parse(text).is_err(), "{text}");
    }
    let long = format!(r#"{{"type":"edit","id":"{}"}}"#, "x".repeat(129));
    assert!(ClientFrame::parse(&long).is_err());
}

#[test]
fn frames_are_told_as_the_contract_has_them() {
    let vector: Vector = "0:17,3:1289".parse().unwrap();
    let user_id = UserId::from_uuid(Uuid::from_u128(1));
    assert_eq!(ServerFrame::Live { vector: &vector }.encode(), r#"{"type":"live","vector":"0:17,3:1289"}"#);
    let receipt = ServerFrame::Receipt {
        thread_id: events::ThreadId::from_uuid(Uuid::from_u128(2)),
        user_id,
        delivered: Some(4),
        read: Some(3),
        time: crate::time::Time(events::clock::millis(1_000)),
        position: None,
    };
    assert_eq!(
        receipt.encode(),
        concat!(
            r#"{"type":"receipt","thread_id":"00000000-0000-0000-0000-000000000002","#,
            r#""user_id":"00000000-0000-0000-0000-000000000001","delivered":4,"read":3,"time":"1970-01-01T00:00:01.000Z"}"#
        )
    );
    let created = ServerFrame::Thread {
        thread_id: events::ThreadId::from_uuid(Uuid::from_u128(2)),
        change: Change::DirectCreated { user_id },
        by: user_id,
        time: crate::time::Time(events::clock::millis(0)),
        position: "3:9".parse().unwrap(),
    };
    assert_eq!(
        created.encode(),
        concat!(
            r#"{"type":"thread","thread_id":"00000000-0000-0000-0000-000000000002","change":"created","#,
            r#""user_id":"00000000-0000-0000-0000-000000000001","by":"00000000-0000-0000-0000-000000000001","#,
            r#""time":"1970-01-01T00:00:00.000Z","position":"3:9"}"#
        )
    );
    let answer = serde_json::json!({ "number": 1 });
    assert_eq!(ack(&RequestId::Number(7), &answer), r#"{"type":"ack","id":7,"number":1}"#);
    assert_eq!(error(&RequestId::Text("a".to_owned()), &answer), r#"{"type":"error","id":"a","problem":{"number":1}}"#);
}

/// What a test need not say twice: ids of 1 and 2, and the position `3:9`.
#[test]
fn every_frame_of_the_log_has_the_fields_of_the_contract() {
    let (thread_id, user_id) = (events::ThreadId::from_uuid(Uuid::from_u128(2)), UserId::from_uuid(Uuid::from_u128(1)));
    let (position, time) = ("3:9".parse().unwrap(), crate::time::Time(events::clock::millis(0)));
    let (role, by) = (events::event::Role::Admin, user_id);
    let thread = |change| ServerFrame::Thread { thread_id, change, by, time, position };
    let told = |frame: ServerFrame<'_>| {
        let uuid = |id: u128| format!("\"{}\"", Uuid::from_u128(id));
        let text = frame.encode().replace(&uuid(1), "U").replace(&uuid(2), "T");
        text.replace("\"1970-01-01T00:00:00.000Z\"", "0").replace(r#","position":"3:9"}"#, "}").replace('"', "")
    };
    let mentions = [user_id];
    let file = Attachment {
        attachment_id: AttachmentId::from_uuid(Uuid::from_u128(2)),
        name: Text::new("a b"),
        media_type: "image/png".parse().unwrap(),
        size: 7,
        width: Some(3),
        height: None,
    };
    let key = events::MessageKey::from_uuid(Uuid::from_u128(2));
    for (frame, expected) in [
        (
            ServerFrame::Message {
                thread_id,
                number: 4,
                key,
                sender_id: by,
                body: Some("hi"),
                reply_to: None,
                mentions: &mentions,
                attachments: vec![Attached::from(&file)],
                sent_at: time,
                position,
            },
            "{type:message,thread_id:T,number:4,key:T,sender_id:U,body:hi,reply_to:null,mentions:[U],attachments:[{attachment_id:T,name:a b,media_type:image/png,size:7,width:3}],sent_at:0}",
        ),
        (
            ServerFrame::MessageEdited { thread_id, number: 4, body: None, mentions: &[], edited_at: time, position },
            "{type:message_edited,thread_id:T,number:4,body:null,mentions:[],edited_at:0}",
        ),
        (ServerFrame::MessageDeleted { thread_id, number: 4, position }, "{type:message_deleted,thread_id:T,number:4}"),
        (
            ServerFrame::Reaction { thread_id, number: 4, user_id, emoji: "👍", removed: true, position },
            "{type:reaction,thread_id:T,number:4,user_id:U,emoji:👍,removed:true}",
        ),
        (
            thread(Change::GroupCreated { title: Some("g") }),
            "{type:thread,thread_id:T,change:created,title:g,by:U,time:0}",
        ),
        (thread(Change::Renamed { title: None }), "{type:thread,thread_id:T,change:renamed,title:null,by:U,time:0}"),
        (
            thread(Change::MemberAdded { user_id, role }),
            "{type:thread,thread_id:T,change:member_added,user_id:U,role:admin,by:U,time:0}",
        ),
        (
            thread(Change::MemberRemoved { user_id }),
            "{type:thread,thread_id:T,change:member_removed,user_id:U,by:U,time:0}",
        ),
        (thread(Change::MemberLeft { user_id }), "{type:thread,thread_id:T,change:member_left,user_id:U,by:U,time:0}"),
        (
            thread(Change::RoleChanged { user_id, role }),
            "{type:thread,thread_id:T,change:role_changed,user_id:U,role:admin,by:U,time:0}",
        ),
        (
            ServerFrame::Settings { thread_id, muted_until: Some(time), archived: true, pinned: false, time, position },
            "{type:settings,thread_id:T,muted_until:0,archived:true,pinned:false,time:0}",
        ),
        (
            ServerFrame::Contact { user_id, alias: Some("a"), removed: false, time, position },
            "{type:contact,user_id:U,alias:a,removed:false,time:0}",
        ),
        (ServerFrame::Typing { thread_id, user_id }, "{type:typing,thread_id:T,user_id:U}"),
        (
            ServerFrame::Presence { user_id, online: true, last_seen: Some(time) },
            "{type:presence,user_id:U,online:true,last_seen:0}",
        ),
        (ServerFrame::Block { user_id, removed: true, time, position }, "{type:block,user_id:U,removed:true,time:0}"),
    ] {
        crate::asyncapi::told(&serde_json::from_str(&frame.encode()).unwrap());
        assert_eq!(told(frame), expected);
    }
}

#[test]
fn a_fault_names_the_field() {
    for (rest, path, error) in [
        (r#""thread_id":"x","body":"hi""#, ".", "missing field `key`"),
        (r#""thread_id":"x","key":"k","body":7"#, "body", "invalid type"),
        (r#""thread_id":"x","key":"k","body":"hi","sender_id":"y""#, "sender_id", "unknown field"),
    ] {
        let parsed = parse(&format!(r#"{{"type":"send","id":"1",{rest}}}"#));
        let ClientFrame::Refused { fault, .. } = parsed else { panic!("{parsed:?}") };
        assert_eq!(fault.path, path);
        assert!(fault.error.starts_with(error), "{fault:?}");
    }
}

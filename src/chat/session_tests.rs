//! Scripts of frames.

use super::{After, Session, Step, after};
use crate::chat::frame::Frame;
use serde_json::{Value, json};
use std::time::Duration;

const EPOCH: &str = "01a20fbf-da5b-706e-a8df-ad8925c37c00";
const KEY: &str = "01a20fbf-da5b-706e-a8df-ad8925c37c01";

fn frame(frame: Value) -> Frame {
    serde_json::from_value(frame).unwrap()
}

fn welcome(vector: &str) -> Frame {
    frame(json!({ "type": "welcome", "session_id": KEY, "user_id": KEY, "time": "2026-01-31T12:00:00.000Z",
        "heartbeat_s": 25, "epoch": EPOCH, "vector": vector }))
}

fn reaction(position: &str) -> Frame {
    frame(json!({ "type": "reaction", "thread_id": KEY, "number": 1, "user_id": KEY, "emoji": "👍", "removed": false,
        "position": position }))
}

fn live(vector: &str) -> Frame {
    frame(json!({ "type": "live", "vector": vector }))
}

fn session_at(vector: &str) -> Session {
    let mut session = Session::default();
    session.handle(welcome(vector));
    session.loaded();
    session
}

fn resumes_from(session: &mut Session) -> Value {
    session.hello("t")["resume"].clone()
}

#[test]
fn all_is_loaded_before_the_first_frame_is_shown() {
    let mut session = Session::default();
    assert_eq!(session.hello("t"), json!({ "type": "hello", "token": "t" }));
    assert_eq!(session.handle(welcome("0:5,1:7")), [Step::Load("0:5,1:7".parse().unwrap())]);
    assert_eq!(session.handle(reaction("0:6")), []);
    assert_eq!(session.handle(live("0:6,1:7")), []);
    assert_eq!(session.loaded(), [Step::Show(reaction("0:6")), Step::Live]);
}

#[test]
fn it_resumes_from_what_was_shown_and_not_from_what_was_heard_or_acknowledged() {
    let mut session = session_at("0:5,1:7");
    let heard = reaction("0:6");
    let position = heard.position;
    assert_eq!(session.handle(heard.clone()), [Step::Show(heard)]);
    assert_eq!(resumes_from(&mut session), "0:5,1:7");
    session.shown(position);
    assert_eq!(resumes_from(&mut session), "0:6,1:7");
    session.handle(frame(json!({ "type": "ack", "id": KEY, "number": 3, "position": "0:9" })));
    assert_eq!(resumes_from(&mut session), "0:6,1:7");
    assert_eq!(session.hello("t")["epoch"], EPOCH);
    assert_eq!(session.handle(welcome("0:30,1:9")), [], "the welcome of a resumption says nothing of it");
    assert_eq!(session.handle(live("0:30,1:9")), [Step::Live]);
    assert_eq!(resumes_from(&mut session), "0:30,1:9");
}

#[test]
fn after_a_reset_all_is_loaded_anew_and_what_is_cut_off_meanwhile_resumes_nothing() {
    let mut session = session_at("0:5");
    let reset = frame(json!({ "type": "reset", "vector": "0:1" }));
    assert_eq!(session.handle(reset), [Step::Load("0:1".parse().unwrap())]);
    assert_eq!(resumes_from(&mut session), Value::Null);
}

#[test]
fn a_frame_that_is_not_known_is_passed_over_and_counts() {
    let mut session = session_at("0:5");
    let later = frame(json!({ "type": "poll_opened", "question": "tea?", "position": "0:6" }));
    session.handle(later.clone());
    session.shown(later.position);
    assert_eq!(resumes_from(&mut session), "0:6");
}

#[test]
fn how_to_come_back_depends_on_why_it_ended() {
    let wait = |milliseconds| After::Wait(Duration::from_millis(milliseconds));
    for (code, reason, attempt, expected) in [
        (Some(1012), "the node is going; reconnect after 420 ms", 0, wait(420)),
        (Some(1013), "too slow", 0, wait(250)),
        (None, "", 2, wait(1_000)),
        (None, "", 30, wait(7_500)),
        (Some(4401), "", 0, After::Renew),
        (Some(4401), "", 1, wait(500)),
        (Some(1000), "", 0, After::Sleep),
        (Some(4409), "", 0, After::GiveUp),
        (Some(4400), "", 0, After::GiveUp),
    ] {
        assert_eq!(after(code, reason, attempt, 0.5), expected, "{code:?}");
    }
}

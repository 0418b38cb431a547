//! Scripts with a clock of their own.

use super::*;
use crate::frame::RequestId;
use uuid::Uuid;

const WELCOME: Utf8Bytes = Utf8Bytes::from_static("welcome");
const HELLO_FRAME: &str = r#"{"type":"hello","token":"t"}"#;

struct Script {
    session: Session,
    now: Duration,
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn whose(session: u128, until: u64) -> Whose {
    Whose {
        user_id: UserId::from_uuid(Uuid::from_u128(1)),
        session_id: SessionId::from_uuid(Uuid::from_u128(session)),
        until: seconds(until),
    }
}

impl Script {
    fn new() -> Self {
        Self { session: Session::new(Duration::from_millis(1_234), Limits::default()), now: Duration::ZERO }
    }

    /// Live, and cut off after three requests or five frames at once, of which one comes back in a second.
    fn limited() -> Self {
        let flood = Flood::beyond((3, seconds(1)), (5, seconds(1)));
        let mut script = Self {
            session: Session::new(Duration::ZERO, Limits { flood: Some(flood), idle: None }),
            now: Duration::ZERO,
        };
        script.enter().wait(seconds(10));
        script.effects();
        script
    }

    fn enter(&mut self) -> &mut Self {
        self.text(HELLO_FRAME).event(Event::Entered { whose: whose(2, 300), welcome: WELCOME }).event(Event::Attached)
    }

    fn live() -> Self {
        let mut script = Self::new();
        script.enter().effects();
        script
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.session.handle_frame(self.now, Incoming::Text(text));
        self
    }

    fn incoming(&mut self, incoming: Incoming<'_>) -> &mut Self {
        self.session.handle_frame(self.now, incoming);
        self
    }

    fn event(&mut self, event: Event) -> &mut Self {
        self.session.handle_event(event);
        self
    }

    /// Lets time pass as a shell does: the session is called at each of its deadlines.
    fn wait(&mut self, duration: Duration) -> &mut Self {
        let end = self.now + duration;
        while let Some(deadline) = self.session.poll_timeout().filter(|&deadline| deadline <= end) {
            assert!(deadline > self.now || self.now == Duration::ZERO, "a deadline that does not move");
            self.now = deadline;
            self.session.handle_timeout(deadline);
        }
        self.now = end;
        self
    }

    fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.session.poll_effect()).collect()
    }

    fn closes(&mut self, code: u16) -> String {
        let effects = self.effects();
        let Some(Effect::Close(close)) = effects.last() else { panic!("{effects:?}") };
        assert_eq!(close.code, code, "{close:?}");
        assert_eq!(self.session.poll_timeout(), None);
        self.text(HELLO_FRAME).event(Event::Slow).wait(seconds(1_000));
        assert_eq!(self.effects(), [], "nothing follows the close");
        close.reason.clone()
    }
}

#[test]
fn hello_enters_welcomes_attaches_and_goes_live() {
    let mut script = Script::new();
    script.text(r#"{"type":"hello","token":"t","resume":"0:7","epoch":"00000000-0000-0000-0000-000000000009"}"#);
    assert_eq!(script.effects(), [Effect::Enter { token: "t".to_owned() }]);
    script.event(Event::Entered { whose: whose(2, 300), welcome: WELCOME });
    let resume = Some(Resume { vector: "0:7".parse().unwrap(), epoch: Some(Uuid::from_u128(9)) });
    assert_eq!(script.effects(), [Effect::Send(WELCOME), Effect::Attach { resume }]);
    script.event(Event::Attached);
    assert_eq!(script.effects(), []);
    script.text(r#"{"type":"ping"}"#);
    assert_eq!(script.effects(), [Effect::Pong]);
}

#[test]
fn without_a_hello_it_ends_after_five_seconds() {
    let mut script = Script::new();
    script.wait(Duration::from_millis(4_900)).incoming(Incoming::Alive);
    assert_eq!(script.effects(), []);
    script.wait(Duration::from_millis(100));
    script.closes(4408);
}

#[test]
fn hello_comes_first_and_once() {
    let mut script = Script::new();
    script.text(r#"{"type":"ping"}"#).closes(4400);
    let mut script = Script::live();
    script.text(HELLO_FRAME).closes(4400);
}

#[test]
fn bad_messages_end_it_with_their_codes() {
    Script::live().text("{").closes(4400);
    Script::live().incoming(Incoming::Binary).closes(1003);
    Script::new().incoming(Incoming::Binary).closes(1003);
    Script::live().event(Event::NotUtf8).closes(1007);
    Script::live().event(Event::TooLong).closes(1009);
    Script::live().event(Event::NotWebSocket).closes(1002);
}

#[test]
fn a_reason_fits_into_a_close_frame() {
    let frame = format!(r#"{{"type":"ping","{}":1}}"#, "ä".repeat(500));
    let reason = Script::live().text(&frame).closes(4400);
    assert!(reason.len() <= 123 && reason.len() > 100, "{reason}");
}

#[test]
fn a_bad_token_ends_it() {
    let mut script = Script::new();
    script.text(HELLO_FRAME).event(Event::Unauthorized);
    script.closes(4401);
    Script::live().event(Event::Revoked).closes(4401);
}

#[test]
fn a_token_that_expires_ends_it_unless_it_was_refreshed() {
    let mut script = Script::live();
    for _ in 0..30 {
        script.wait(seconds(10)).incoming(Incoming::Alive);
    }
    script.effects();
    script.wait(seconds(6));
    script.closes(4401);

    let mut script = Script::live();
    script.text(r#"{"type":"refresh","token":"u"}"#);
    assert_eq!(script.effects(), [Effect::Refresh { token: "u".to_owned() }]);
    script.event(Event::Refreshed(whose(2, 600)));
    for _ in 0..59 {
        script.wait(seconds(10)).incoming(Incoming::Alive);
    }
    assert!(script.effects().iter().all(|effect| *effect == Effect::Ping));
    script.wait(seconds(16));
    script.closes(4401);
}

#[test]
fn a_token_of_another_session_does_not_refresh() {
    Script::live().event(Event::Refreshed(whose(3, 600))).closes(4401);
}

#[test]
fn it_pings_and_ends_what_does_not_answer() {
    let mut script = Script::live();
    script.wait(seconds(59));
    assert_eq!(script.effects(), [Effect::Ping, Effect::Ping]);
    script.incoming(Incoming::Alive).wait(seconds(59));
    assert_eq!(script.effects(), [Effect::Ping, Effect::Ping]);
    script.wait(seconds(1));
    assert_eq!(script.effects(), [Effect::End]);
}

#[test]
fn a_pong_is_owed_until_what_was_missed_is_on_its_way() {
    let mut script = Script::new();
    script.text(HELLO_FRAME).event(Event::Entered { whose: whose(2, 300), welcome: WELCOME });
    script.effects();
    script.text(r#"{"type":"ping"}"#).text(r#"{"type":"ping"}"#);
    assert_eq!(script.effects(), []);
    script.event(Event::Attached);
    assert_eq!(script.effects(), [Effect::Pong, Effect::Pong]);
}

#[test]
fn requests_are_carried_out_in_their_turn_also_before_it_is_live() {
    let mut script = Script::new();
    script.text(HELLO_FRAME).event(Event::Entered { whose: whose(2, 300), welcome: WELCOME });
    script.effects();
    script.text(r#"{"type":"send","id":"a","to":"x","key":"k","body":"hi"}"#);
    script.text(r#"{"type":"react","id":"b"}"#);
    let effects = script.effects();
    let [Effect::Execute(Command::Send(send)), Effect::Execute(Command::Refuse { id, fault: Fault { .. } })] =
        effects.as_slice()
    else {
        panic!("{effects:?}")
    };
    assert_eq!((&send.id, id), (&RequestId::Text("a".to_owned()), &RequestId::Text("b".to_owned())));
    script.event(Event::Answered(Utf8Bytes::from_static("ack")));
    assert_eq!(script.effects(), [Effect::Send(Utf8Bytes::from_static("ack"))]);
}

#[test]
fn who_is_sent_away_is_told_when_to_come_back() {
    assert_eq!(Script::live().event(Event::Draining).closes(1012), "the node is going; reconnect after 1234 ms");
    let mut script = Script::new();
    script.text(HELLO_FRAME).event(Event::Entered { whose: whose(2, 300), welcome: WELCOME });
    let reason = script.event(Event::Unavailable("views are behind")).closes(1012);
    assert_eq!(reason, "views are behind; reconnect after 1234 ms");
    Script::live().event(Event::Superseded).closes(4409);
    Script::live().event(Event::Slow).closes(1013);
}

#[test]
fn who_asks_for_too_much_at_once_is_cut_off_and_who_takes_their_time_is_not() {
    let send = r#"{"type":"send","id":"a","to":"x","key":"k","body":"hi"}"#;
    // A fault is answered as well.
    for request in [send, r#"{"type":"react","id":"b"}"#] {
        let mut script = Script::limited();
        script.text(request).text(request).text(request);
        assert_eq!(script.effects().len(), 3);
        script.text(request).closes(1008);

        let mut script = Script::limited();
        script.text(request).text(request);
        for _ in 0..100 {
            script.text(request).wait(seconds(1));
        }
        assert!(script.effects().iter().all(|effect| matches!(effect, Effect::Execute(_) | Effect::Ping)));
        script.text(request).text(request).closes(1008);
    }
}

#[test]
fn whatever_is_said_too_often_is_a_flood() {
    let receipt = r#"{"type":"receipt","thread_id":"0190b5a0-0000-7000-8000-000000000002","read":1}"#;
    let typing = r#"{"type":"typing","thread_id":"0190b5a0-0000-7000-8000-000000000002"}"#;
    let others = [r#"{"type":"ping"}"#, receipt, typing, r#"{"type":"watch","user_ids":[]}"#];
    for said in others.map(Incoming::Text).into_iter().chain([Incoming::Alive]) {
        let mut script = Script::limited();
        for _ in 0..5 {
            script.incoming(said);
        }
        assert!(script.effects().iter().all(|effect| !matches!(effect, Effect::Close(_))), "{said:?}");
        script.incoming(said).closes(1008);
    }
    let mut script = Script::new();
    script.enter();
    for _ in 0..10_000 {
        script.text(others[0]);
    }
    assert_eq!(script.effects().iter().filter(|effect| **effect == Effect::Pong).count(), 10_000);
}

#[test]
fn who_types_is_told_of_once_in_three_seconds_and_thread() {
    let mut script = Script::new();
    script.enter().effects();
    let typing = |thread: u128| format!(r#"{{"type":"typing","thread_id":"{}"}}"#, Uuid::from_u128(thread));
    let told =
        |thread| vec![Effect::Execute(Command::Typing { thread_id: ThreadId::from_uuid(Uuid::from_u128(thread)) })];
    assert_eq!(script.text(&typing(1)).text(&typing(1)).effects(), told(1));
    assert_eq!(script.text(&typing(2)).effects(), told(2));
    assert_eq!(script.wait(Duration::from_millis(2_999)).text(&typing(1)).effects(), []);
    assert_eq!(script.wait(Duration::from_millis(1)).text(&typing(1)).effects(), told(1));
}

#[test]
fn who_does_nothing_is_sent_away_and_what_a_client_does_by_itself_is_nothing() {
    let idle = || {
        let limits = Limits { idle: Some(seconds(50)), ..Limits::default() };
        let mut script = Script { session: Session::new(Duration::ZERO, limits), now: Duration::ZERO };
        script.enter();
        script
    };
    let thread = r#""thread_id":"0190b5a0-0000-7000-8000-000000000002""#;
    let text = |of: &str| format!(r#"{{"type":{of}}}"#);
    let deeds = [
        r#""send","id":1,"to":"x","key":"k","body":"hi""#.to_owned(),
        r#""edit","id":1"#.to_owned(),
        format!(r#""react","id":1,{thread},"number":1,"emoji":"👍""#),
        format!(r#""receipt",{thread},"read":1"#),
        format!(r#""typing",{thread}"#),
        r#""watch","user_ids":[]"#.to_owned(),
    ];
    for deed in deeds {
        let mut script = idle();
        script.wait(seconds(40)).text(&text(&deed)).wait(seconds(49)).effects();
        script.wait(seconds(1));
        assert_eq!(script.closes(1000), "nothing was done for long", "{deed}");
    }
    let by_itself =
        [r#""ping""#.to_owned(), r#""refresh","token":"t""#.to_owned(), format!(r#""receipt",{thread},"delivered":1"#)];
    for said in by_itself {
        let mut script = idle();
        script.wait(seconds(40)).text(&text(&said)).incoming(Incoming::Alive).wait(seconds(9)).effects();
        script.wait(seconds(1)).closes(1000);
    }
    let mut patient = Script::live();
    for _ in 0..29 {
        patient.wait(seconds(10)).incoming(Incoming::Alive);
    }
    assert!(patient.effects().iter().all(|effect| *effect == Effect::Ping));
}

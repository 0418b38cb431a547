use super::{Command, MAX_SESSIONS, Rejection, User};
use crate::{decider::Decider, spec::given};
use events::{SessionId, Text, UserEvent, UserId};
use uuid::Uuid;

const ADA: UserId = UserId::from_uuid(Uuid::from_u128(10));

fn session(number: usize) -> SessionId {
    SessionId::from_uuid(Uuid::from_u128(number as u128))
}

fn signed_up() -> (UserId, UserEvent) {
    (ADA, UserEvent::SignedUp { username: Text::new("ada"), display_name: Text::new("Ada") })
}

fn opened(number: usize, replaces: Option<usize>) -> UserEvent {
    UserEvent::SessionOpened { session_id: session(number), device: None, replaces: replaces.map(session) }
}

fn open(number: usize) -> Command {
    Command::OpenSession { session_id: session(number), device: None }
}

#[test]
fn somebody_signs_up_once() {
    let sign_up = Command::SignUp { username: Text::new("ada"), display_name: Text::new("Ada") };
    given::<User>([]).when(&sign_up).then(ADA, signed_up().1).when(&sign_up).then_nothing();
}

#[test]
fn nobody_has_sessions() {
    given::<User>([]).when(&open(1)).then_rejected(Rejection::Unknown);
    given::<User>([]).when(&Command::RevokeSession { session_id: session(1) }).then_rejected(Rejection::Unknown);
}

#[test]
fn a_session_opens_and_ends_once() {
    let revoke = Command::RevokeSession { session_id: session(1) };
    let ended = given::<User>([signed_up()])
        .when(&open(1))
        .then(ADA, opened(1, None))
        .when(&open(1))
        .then_nothing()
        .when(&revoke)
        .then(ADA, UserEvent::SessionRevoked { session_id: session(1) })
        .when(&revoke)
        .then_nothing();
    assert!(!ended.state.has_open(session(1)));
}

#[test]
fn one_session_too_many_ends_the_oldest() {
    let mut ada = given::<User>([signed_up()]);
    for number in 0..MAX_SESSIONS {
        assert_eq!(ada.handle(ADA, &open(number)), Ok(Some(opened(number, None))));
    }
    let ada = ada.when(&open(99)).then(ADA, opened(99, Some(0)));
    assert!(!ada.state.has_open(session(0)) && ada.state.has_open(session(1)));
}

#[test]
fn the_state_keeps_the_shape_that_its_name_stands_for() {
    let ada = given::<User>([signed_up(), (ADA, opened(1, None))]);
    let kept = serde_json::to_string(&ada.state).unwrap();
    assert_eq!(kept, r#"{"signed_up":true,"sessions":["00000000-0000-0000-0000-000000000001"]}"#);
    assert_eq!(serde_json::from_str::<User>(&kept).unwrap(), ada.state);
    assert!(ada.state.decide(&open(1)).unwrap().is_none());
}

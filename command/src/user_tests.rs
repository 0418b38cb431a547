use super::{Command, Keep, MAX_CONTACTS, MAX_REPORTS, MAX_SESSIONS, Profile, Rejection, User};
use crate::{decider::Decider, spec::given};
use events::{
    SessionId, Text, ThreadId, UserEvent, UserId,
    clock::millis,
    event::{Adders, Viewers},
};
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
    open_in(0, number)
}

fn open_in(epoch: u32, number: usize) -> Command {
    Command::OpenSession { session_id: session(number), device: None, epoch }
}

fn change_password(epoch: u32, keeps: usize) -> Command {
    Command::ChangePassword { epoch, keeps: session(keeps) }
}

fn password_changed(epoch: u32, ends: &[usize]) -> UserEvent {
    UserEvent::PasswordChanged { epoch, ends: ends.iter().copied().map(session).collect() }
}

#[test]
fn who_is_suspended_is_let_in_again_by_an_operator_and_not_before() {
    let eve = UserId::from_uuid(Uuid::from_u128(99));
    let reason = || Text::new("threatens others");
    let open = |n| Command::OpenSession { session_id: session(n), device: None, epoch: 0 };
    let mut user = given::<User>([signed_up()]);
    user.handle(ADA, &open(1)).unwrap();
    let suspended = user
        .when(&Command::Suspend { reason: reason() })
        .then(eve, UserEvent::Suspended { reason: reason(), ends: vec![session(1)] })
        .when(&Command::Suspend { reason: reason() })
        .then_nothing()
        .when(&open(2))
        .then_rejected(Rejection::Suspended);
    assert!(suspended.state.is_suspended() && suspended.state.sessions().is_empty());
    let mut restored = suspended
        .when(&Command::Restore { reason: reason() })
        .then(eve, UserEvent::Restored { reason: reason() })
        .when(&Command::Restore { reason: reason() })
        .then_nothing();
    assert!(restored.handle(ADA, &open(3)).unwrap().is_some());
}

#[test]
fn a_message_is_reported_once_until_somebody_has_seen_to_it() {
    let (thread_id, reason) = (ThreadId::from_uuid(Uuid::from_u128(5)), || Text::new("rude"));
    let report = |number| Command::Report { thread_id, number, reason: reason() };
    let resolve = Command::ResolveReport { thread_id, number: 1, reason: reason() };
    let mut user = given::<User>([signed_up()])
        .when(&resolve)
        .then_nothing()
        .when(&report(1))
        .then(ADA, UserEvent::MessageReported { thread_id, number: 1, reason: reason() })
        .when(&report(1))
        .then_nothing()
        .when(&resolve)
        .then(ADA, UserEvent::ReportResolved { thread_id, number: 1, reason: reason() });
    for number in 1..=u32::try_from(MAX_REPORTS).unwrap() {
        assert!(user.handle(ADA, &report(number)).unwrap().is_some());
    }
    user.when(&report(1_000)).then_rejected(Rejection::TooMany);
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
fn a_changed_password_ends_all_other_sessions_once() {
    let people = [signed_up(), (ADA, opened(1, None)), (ADA, opened(2, None)), (ADA, opened(3, None))];
    given::<User>([]).when(&change_password(1, 2)).then_rejected(Rejection::Unknown);
    let ada = given::<User>(people)
        .when(&change_password(1, 2))
        .then(ADA, password_changed(1, &[1, 3]))
        .when(&change_password(1, 2))
        .then_nothing()
        // Written late: what was opened since stays.
        .when(&open_in(1, 4))
        .then(ADA, opened(4, None))
        .when(&change_password(1, 2))
        .then_nothing();
    assert_eq!(ada.state.sessions(), [session(2), session(4)]);
}

#[test]
fn who_showed_the_former_password_opens_nothing() {
    let changed = [signed_up(), (ADA, password_changed(2, &[]))];
    given::<User>(changed.clone()).when(&open_in(1, 1)).then_rejected(Rejection::PasswordChanged);
    given::<User>(changed).when(&open_in(2, 1)).then(ADA, opened(1, None));
}

#[test]
fn a_profile_tells_what_changes_and_nothing_else() {
    let change = |last_seen_visible_to, may_add_me, about: Option<&str>| {
        let about = about.map(Text::new);
        Profile { last_seen_visible_to, may_add_me, about, display_name: None }
    };
    let changed = |last_seen_visible_to, may_add_me, about: Option<&str>| {
        let about = about.map(Text::new);
        UserEvent::ProfileChanged { last_seen_visible_to, may_add_me, about, display_name: None }
    };
    let nobody = Some(Viewers::Nobody);
    let command = |profile: Profile| Command::ChangeProfile(profile);
    given::<User>([]).when(&command(change(nobody, None, None))).then_rejected(Rejection::Unknown);
    given::<User>([signed_up()])
        .when(&command(Profile::default()))
        .then_nothing()
        .when(&command(change(Some(Viewers::Everyone), Some(Adders::Everyone), None)))
        .then_nothing()
        .when(&command(change(nobody, Some(Adders::Everyone), None)))
        .then(ADA, changed(nobody, None, None))
        .when(&command(change(nobody, None, None)))
        .then_nothing()
        .when(&command(change(nobody, Some(Adders::Contacts), Some("hi"))))
        .then(ADA, changed(None, Some(Adders::Contacts), Some("hi")));
}

#[test]
fn the_state_keeps_the_shape_that_its_name_stands_for() {
    let bob = UserId::from_uuid(Uuid::from_u128(11));
    let ada = given::<User>([
        signed_up(),
        (ADA, opened(1, None)),
        (ADA, UserEvent::ContactSaved { user_id: bob, alias: None }),
        (
            ADA,
            UserEvent::ThreadSettingsChanged {
                thread_id: ThreadId::from_uuid(Uuid::from_u128(20)),
                muted_until: Some(millis(5)),
                archived: true,
                pinned: false,
            },
        ),
        (
            ADA,
            UserEvent::MessageReported {
                thread_id: ThreadId::from_uuid(Uuid::from_u128(20)),
                number: 7,
                reason: Text::new("rude"),
            },
        ),
    ]);
    let kept = serde_json::to_string(&ada.state).unwrap();
    let shape = concat!(
        r#"{"signed_up":true,"epoch":0,"sessions":["00000000-0000-0000-0000-000000000001"],"#,
        r#""last_seen_visible_to":"everyone","may_add_me":"everyone","picture":null,"#,
        r#""contacts":{"00000000-0000-0000-0000-00000000000b":false},"threads":{"#,
        r#""00000000-0000-0000-0000-000000000014":{"muted_until":"1970-01-01T00:00:00.005Z","archived":true,"pinned":false}},"#,
        r#""suspended":false,"reports":[["00000000-0000-0000-0000-000000000014",7]]}"#
    );
    assert_eq!(kept, shape);
    assert_eq!(serde_json::from_str::<User>(&kept).unwrap(), ada.state);
    assert!(ada.state.decide(&open(1)).unwrap().is_none());
}

#[test]
fn a_contact_is_saved_and_removed_once_and_an_alias_is_told_again() {
    let bob = UserId::from_uuid(Uuid::from_u128(11));
    let save = |alias: Option<&str>| Command::SaveContact { user_id: bob, alias: alias.map(Text::new) };
    let saved = |alias: Option<&str>| UserEvent::ContactSaved { user_id: bob, alias: alias.map(Text::new) };
    let remove = Command::RemoveContact { user_id: bob };
    given::<User>([signed_up()])
        .when(&save(None))
        .then(ADA, saved(None))
        .when(&save(None))
        .then_nothing()
        .when(&save(Some("Bobby")))
        .then(ADA, saved(Some("Bobby")))
        .when(&save(Some("Bobby")))
        .then(ADA, saved(Some("Bobby")))
        .when(&save(None))
        .then(ADA, saved(None))
        .when(&remove)
        .then(ADA, UserEvent::ContactRemoved { user_id: bob })
        .when(&remove)
        .then_nothing();
    given::<User>([]).when(&save(None)).then_rejected(Rejection::Unknown);
}

#[test]
fn contacts_are_bounded() {
    let contact = |n: usize| UserId::from_uuid(Uuid::from_u128(100 + n as u128));
    let saved = (0..MAX_CONTACTS).map(|n| (ADA, UserEvent::ContactSaved { user_id: contact(n), alias: None }));
    let full = given::<User>([signed_up()].into_iter().chain(saved));
    let save = |n| Command::SaveContact { user_id: contact(n), alias: Some(Text::new("x")) };
    full.when(&save(MAX_CONTACTS))
        .then_rejected(Rejection::TooMany)
        .when(&save(0))
        .then(ADA, UserEvent::ContactSaved { user_id: contact(0), alias: Some(Text::new("x")) });
}

#[test]
fn who_wants_to_be_added_by_contacts_is_added_by_nobody_else() {
    let bob = UserId::from_uuid(Uuid::from_u128(11));
    let profile = UserEvent::ProfileChanged {
        display_name: None,
        about: None,
        last_seen_visible_to: None,
        may_add_me: Some(Adders::Contacts),
    };
    assert!(given::<User>([signed_up()]).state.may_be_added_by(bob));
    let mut shy = given::<User>([signed_up(), (ADA, profile)]);
    assert!(!shy.state.may_be_added_by(bob));
    shy.happens(ADA, &UserEvent::ContactSaved { user_id: bob, alias: None });
    assert!(shy.state.may_be_added_by(bob));
}

#[test]
fn a_thread_is_kept_as_it_was_but_for_what_is_changed() {
    let thread_id = ThreadId::from_uuid(Uuid::from_u128(20));
    let keep = |keep| Command::KeepThread { thread_id, keep };
    let told =
        |muted_until, archived, pinned| UserEvent::ThreadSettingsChanged { thread_id, muted_until, archived, pinned };
    let mute = Keep { muted_until: Some(Some(millis(5))), ..Keep::default() };
    let unmute = Keep { muted_until: Some(None), ..Keep::default() };
    let archive = |archived| Keep { archived: Some(archived), ..Keep::default() };
    let kept = given::<User>([signed_up()])
        .when(&keep(Keep::default()))
        .then_nothing()
        .when(&keep(mute))
        .then(ADA, told(Some(millis(5)), false, false))
        .when(&keep(archive(true)))
        .then(ADA, told(Some(millis(5)), true, false))
        .when(&keep(archive(true)))
        .then_nothing()
        .when(&keep(unmute))
        .then(ADA, told(None, true, false))
        .when(&keep(archive(false)))
        .then(ADA, told(None, false, false));
    assert_eq!(kept.state, given::<User>([signed_up()]).state);
}

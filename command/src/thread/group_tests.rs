use super::{Command, Rejection, Thread, group::MAX_MEMBERS};
use crate::spec::{Given, given};
use events::{Text, ThreadEvent, UserId, event::Role};
use proptest::prelude::*;
use std::collections::BTreeSet;
use uuid::Uuid;

const ADA: UserId = UserId::from_uuid(Uuid::from_u128(10));
const BOB: UserId = UserId::from_uuid(Uuid::from_u128(11));
const CYD: UserId = UserId::from_uuid(Uuid::from_u128(12));
const EVE: UserId = UserId::from_uuid(Uuid::from_u128(13));

fn created(members: &[UserId]) -> (UserId, ThreadEvent) {
    (ADA, ThreadEvent::GroupCreated { title: Text::new("group"), members: members.to_vec() })
}

fn role(by: UserId, user_id: UserId, role: Role) -> (UserId, ThreadEvent) {
    (by, ThreadEvent::RoleChanged { user_id, role, number: 0 })
}

fn put(by: UserId, user_id: UserId, role: impl Into<Option<Role>>) -> Command {
    Command::PutMember { by, user_id, role: role.into() }
}

fn remove(by: UserId, user_id: UserId) -> Command {
    Command::RemoveMember { by, user_id }
}

/// Ada owns it, Bob is an admin, Cyd a member, Eve a stranger.
fn group() -> Given<Thread> {
    given([created(&[BOB, CYD]), role(ADA, BOB, Role::Admin)])
}

#[test]
fn a_group_is_created_once_and_its_id_is_nobody_elses() {
    let create = |by| Command::CreateGroup { by, title: Text::new("group"), members: vec![BOB] };
    given::<Thread>([])
        .when(&create(ADA))
        .then(ADA, created(&[BOB]).1)
        .when(&create(ADA))
        .then_nothing()
        .when(&create(BOB))
        .then_rejected(Rejection::IdTaken)
        .when(&create(EVE))
        .then_rejected(Rejection::IdTaken);
}

#[test]
fn a_creator_who_has_left_learns_nothing_by_asking_again() {
    let owner = (ADA, ThreadEvent::RoleChanged { user_id: BOB, role: Role::Owner, number: 0 });
    let left = (ADA, ThreadEvent::MemberLeft { number: 0 });
    given::<Thread>([created(&[BOB]), owner, left])
        .when(&Command::CreateGroup { by: ADA, title: Text::new("group"), members: vec![BOB] })
        .then_rejected(Rejection::IdTaken);
}

#[test]
fn admins_rename() {
    let rename = |by| Command::Rename { by, title: Text::new("renamed") };
    let renamed = || ThreadEvent::Renamed { title: Text::new("renamed"), number: 0 };
    for by in [ADA, BOB] {
        group().when(&rename(by)).then(by, renamed());
    }
    group().when(&rename(CYD)).then_rejected(Rejection::Forbidden);
    group().when(&rename(EVE)).then_rejected(Rejection::NotAMember);
}

#[test]
fn admins_add_and_nobody_gives_more_than_they_have() {
    let added = |role| ThreadEvent::MemberAdded { user_id: EVE, role, number: 0 };
    group().when(&put(BOB, EVE, None)).then(BOB, added(Role::Member)).when(&put(BOB, EVE, None)).then_nothing();
    group().when(&put(BOB, EVE, Role::Admin)).then(BOB, added(Role::Admin));
    group().when(&put(BOB, EVE, Role::Owner)).then_rejected(Rejection::Forbidden);
    group().when(&put(ADA, EVE, Role::Owner)).then(ADA, added(Role::Owner));
    group().when(&put(CYD, EVE, None)).then_rejected(Rejection::Forbidden);
    group().when(&put(EVE, EVE, None)).then_rejected(Rejection::NotAMember);
}

#[test]
fn a_role_is_changed_by_who_has_more_and_nobody_raises_themselves() {
    let changed = |user_id, role| ThreadEvent::RoleChanged { user_id, role, number: 0 };
    group().when(&put(BOB, CYD, Role::Admin)).then(BOB, changed(CYD, Role::Admin));
    group().when(&put(BOB, BOB, Role::Owner)).then_rejected(Rejection::Forbidden);
    group().when(&put(CYD, CYD, Role::Admin)).then_rejected(Rejection::Forbidden);
    group().when(&put(CYD, BOB, Role::Member)).then_rejected(Rejection::Forbidden);
    group().when(&put(BOB, ADA, Role::Member)).then_rejected(Rejection::Forbidden);
    group().when(&put(BOB, BOB, Role::Member)).then(BOB, changed(BOB, Role::Member));
    group().when(&put(BOB, BOB, Role::Admin)).then_nothing();
    let two_admins =
        || given::<Thread>([created(&[BOB, CYD]), role(ADA, BOB, Role::Admin), role(ADA, CYD, Role::Admin)]);
    two_admins().when(&put(BOB, CYD, Role::Member)).then_rejected(Rejection::Forbidden);
    two_admins().when(&remove(BOB, CYD)).then_rejected(Rejection::Forbidden);
}

#[test]
fn a_group_keeps_an_owner() {
    group().when(&remove(ADA, ADA)).then_rejected(Rejection::LastOwner);
    group().when(&put(ADA, ADA, Role::Admin)).then_rejected(Rejection::LastOwner);
    let two_owners = || given::<Thread>([created(&[BOB, CYD]), role(ADA, BOB, Role::Owner)]);
    two_owners()
        .when(&put(BOB, ADA, Role::Member))
        .then(BOB, ThreadEvent::RoleChanged { user_id: ADA, role: Role::Member, number: 0 })
        .when(&put(ADA, BOB, Role::Member))
        .then_rejected(Rejection::LastOwner)
        .when(&put(CYD, BOB, Role::Member))
        .then_rejected(Rejection::Forbidden);
    two_owners().when(&remove(ADA, ADA)).then(ADA, ThreadEvent::MemberLeft { number: 0 });
    given::<Thread>([created(&[])]).when(&remove(ADA, ADA)).then(ADA, ThreadEvent::MemberLeft { number: 0 });
}

#[test]
fn who_leads_removes_and_everybody_leaves() {
    let removed = |user_id| ThreadEvent::MemberRemoved { user_id, number: 0 };
    group().when(&remove(BOB, CYD)).then(BOB, removed(CYD)).when(&remove(BOB, CYD)).then_nothing();
    group().when(&remove(ADA, BOB)).then(ADA, removed(BOB));
    group().when(&remove(BOB, ADA)).then_rejected(Rejection::Forbidden);
    group().when(&remove(CYD, BOB)).then_rejected(Rejection::Forbidden);
    group().when(&remove(CYD, EVE)).then_rejected(Rejection::Forbidden);
    group().when(&remove(EVE, CYD)).then_rejected(Rejection::NotAMember);
    group()
        .when(&remove(CYD, CYD))
        .then(CYD, ThreadEvent::MemberLeft { number: 0 })
        .when(&remove(CYD, CYD))
        .then_rejected(Rejection::NotAMember);
}

#[test]
fn a_direct_thread_is_no_group() {
    let direct = || given::<Thread>([(ADA, ThreadEvent::DirectOpened { peer: BOB })]);
    direct().when(&put(ADA, EVE, None)).then_rejected(Rejection::NotAGroup);
    direct().when(&remove(ADA, BOB)).then_rejected(Rejection::NotAGroup);
    direct().when(&remove(ADA, ADA)).then_rejected(Rejection::NotAGroup);
    direct().when(&Command::Rename { by: ADA, title: Text::new("ours") }).then_rejected(Rejection::NotAGroup);
    direct().when(&put(EVE, EVE, None)).then_rejected(Rejection::NotAMember);
}

#[test]
fn a_full_group_takes_nobody_in() {
    let others = |count: usize| (0..count).map(|n| UserId::from_uuid(Uuid::from_u128(1_000 + n as u128)));
    let full = || given::<Thread>([created(&others(MAX_MEMBERS - 1).collect::<Vec<_>>())]);
    full().when(&put(ADA, EVE, None)).then_rejected(Rejection::Full);
    let first = others(1).next().unwrap();
    full()
        .when(&remove(ADA, first))
        .then(ADA, ThreadEvent::MemberRemoved { user_id: first, number: 0 })
        .when(&put(ADA, EVE, None))
        .then(ADA, ThreadEvent::MemberAdded { user_id: EVE, role: Role::Member, number: 0 });
}

proptest! {
    /// Whatever people do to a group: it has an owner while it has members; a command that was carried out and
    /// is given again adds no fact; replay equals live.
    #[test]
    fn a_group_with_members_has_an_owner(commands in prop::collection::vec((0..4_usize, 0..4_usize, 0..4_u8), 1..80)) {
        let people = [ADA, BOB, CYD, EVE];
        let mut facts = vec![created(&[BOB, CYD])];
        let mut live = given::<Thread>(facts.clone());
        for (by, user_id, what) in commands {
            let (by, user_id) = (people[by], people[user_id]);
            let command = match what {
                0 => remove(by, user_id),
                1 => put(by, user_id, Role::Member),
                2 => put(by, user_id, Role::Admin),
                _ => put(by, user_id, Role::Owner),
            };
            if let Ok(Some(event)) = live.handle(by, &command) {
                facts.push((by, event));
                prop_assert!(!matches!(live.handle(by, &command), Ok(Some(_))));
            }
            let members: BTreeSet<_> = live.state.members.keys().collect();
            let owners = live.state.members.values().filter(|member| member.role == Role::Owner).count();
            prop_assert!(members.is_empty() || owners > 0);
        }
        prop_assert_eq!(given::<Thread>(facts).state, live.state);
    }
}

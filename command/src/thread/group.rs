//! Who is in a group and what they may: members rename nothing, admins lead,
//! owners appoint. A group that has members has an owner.

use super::{Changed, Kind, Member, Picture, Rejection, Thread};
use events::{
    Text, ThreadEvent, UserId,
    event::{Number, Role},
};

/// People in one group.
pub const MAX_MEMBERS: usize = 1_024;

impl Thread {
    pub(super) fn decide_create(
        &self,
        by: UserId,
        title: &Text,
        members: &[UserId],
    ) -> Result<Option<ThreadEvent>, Rejection> {
        match (self.kind, self.created_by) {
            (None, _) => Ok(Some(ThreadEvent::GroupCreated { title: title.clone(), members: members.to_vec() })),
            // Who has left learns no more of it than anybody else.
            (Some(_), Some(creator)) if creator == by && self.has_member(by) => Ok(None),
            (Some(_), _) => Err(Rejection::IdTaken),
        }
    }

    pub(super) fn decide_rename(&self, by: UserId, title: &Text) -> Result<Option<ThreadEvent>, Rejection> {
        let (actor, number) = (self.group_member(by)?, self.last_number);
        // The title is not kept here: what may be the same is told again.
        if actor.role < Role::Admin {
            Err(Rejection::Forbidden)
        } else {
            Ok(Some(ThreadEvent::Renamed { title: title.clone(), number }))
        }
    }

    pub(super) fn decide_picture(
        &self,
        by: UserId,
        picture: Option<&Picture>,
    ) -> Result<Option<ThreadEvent>, Rejection> {
        let (actor, number) = (self.group_member(by)?, self.last_number);
        if actor.role < Role::Admin {
            return Err(Rejection::Forbidden);
        }
        let changed = Picture::change(self.picture, picture)?;
        Ok(changed.map(|Changed { picture, replaces }| ThreadEvent::PictureChanged { picture, replaces, number }))
    }

    pub(super) fn decide_put(
        &self,
        by: UserId,
        user_id: UserId,
        role: Option<Role>,
    ) -> Result<Option<ThreadEvent>, Rejection> {
        let (actor, number) = (self.group_member(by)?, self.last_number);
        let Some(target) = self.members.get(&user_id) else {
            let role = role.unwrap_or_default();
            if actor.role < Role::Admin || role > actor.role {
                return Err(Rejection::Forbidden);
            }
            if self.members.len() >= MAX_MEMBERS {
                return Err(Rejection::Full);
            }
            return Ok(Some(ThreadEvent::MemberAdded { user_id, role, number }));
        };
        let Some(role) = role.filter(|role| *role != target.role) else { return Ok(None) };
        // Of two owners who depose each other the second learns why it cannot be, although no owner any more.
        if self.is_last_owner(user_id) && (actor.role == Role::Owner || actor.was_owner) {
            return Err(Rejection::LastOwner);
        }
        let leads = actor.role == Role::Owner || actor.role > target.role;
        let steps_down = by == user_id && role < target.role;
        if role > actor.role || !(leads || steps_down) {
            return Err(Rejection::Forbidden);
        }
        Ok(Some(ThreadEvent::RoleChanged { user_id, role, number }))
    }

    pub(super) fn decide_remove(&self, by: UserId, user_id: UserId) -> Result<Option<ThreadEvent>, Rejection> {
        let (actor, number) = (self.group_member(by)?, self.last_number);
        if by == user_id {
            let leaves_others = self.is_last_owner(by) && self.members.len() > 1;
            return if leaves_others {
                Err(Rejection::LastOwner)
            } else {
                Ok(Some(ThreadEvent::MemberLeft { number }))
            };
        }
        let target = self.members.get(&user_id);
        let leads = actor.role == Role::Owner || actor.role > target.map_or(Role::Member, |target| target.role);
        if !leads {
            return Err(Rejection::Forbidden);
        }
        Ok(target.map(|_| ThreadEvent::MemberRemoved { user_id, number }))
    }

    /// Whether somebody may add others.
    pub fn may_add(&self, user_id: UserId) -> bool {
        self.kind == Some(Kind::Group) && self.is_led_by(user_id)
    }

    /// Whether somebody may delete what others wrote.
    pub(super) fn is_led_by(&self, user_id: UserId) -> bool {
        self.members.get(&user_id).is_some_and(|member| member.role >= Role::Admin)
    }

    pub(super) fn enter(&mut self, sequence: u64, user_id: UserId, role: Role) {
        let joined_number = self.last_number;
        self.members.insert(user_id, Member { role, joined_sequence: sequence, joined_number, was_owner: false });
    }

    pub(super) fn change_role(&mut self, user_id: UserId, role: Role) {
        if let Some(member) = self.members.get_mut(&user_id) {
            member.was_owner |= member.role == Role::Owner;
            member.role = role;
        }
    }

    fn group_member(&self, user_id: UserId) -> Result<&Member, Rejection> {
        let member = self.members.get(&user_id).ok_or(Rejection::NotAMember)?;
        if self.kind == Some(Kind::Group) { Ok(member) } else { Err(Rejection::NotAGroup) }
    }

    fn is_last_owner(&self, user_id: UserId) -> bool {
        let owners = || self.members.iter().filter(|(_, member)| member.role == Role::Owner);
        owners().count() == 1 && owners().all(|(owner, _)| *owner == user_id)
    }
}

/// Since when, and from which number on, a member sees the thread.
impl Member {
    pub(super) fn sees(&self, number: Number) -> bool {
        number > self.joined_number
    }
}

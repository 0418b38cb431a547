//! Groups: creating them, and who is in them. Whom somebody may add is for the
//! added to say: it is looked up where it lies, as of a moment before the fact.

use super::{Opened, ThreadError, Threads};
use crate::{
    attachments::Use,
    decider::Decider,
    thread::{self, MAX_MEMBERS, Thread},
    user::User,
};
use events::{Aggregate, AttachmentId, Position, Text, ThreadId, UserId, event::Role, log::LogError, text::Line};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeSet;

/// People looked up at once.
const AT_ONCE: usize = 16;

/// A group to create.
#[derive(Debug, Clone)]
pub struct NewGroup {
    pub by: UserId,
    /// Minted by the client, so that it can ask again; else one is minted here.
    pub thread_id: Option<ThreadId>,
    pub title: Line,
    /// The others; oneself and those named twice count once.
    pub members: Vec<UserId>,
}

/// Whether somebody may be added by somebody.
enum Addable {
    Yes(UserId),
    Refuses(UserId),
    Nobody(UserId),
}

impl Threads {
    /// Creates a group that the caller owns; under an id that the caller used for one before, it is that one.
    ///
    /// # Errors
    /// `Full`, `NoSuchPerson`, `MayNotAdd`, `IdTaken`; technical ones.
    pub async fn create_group(&self, group: NewGroup) -> Result<Opened, ThreadError> {
        let NewGroup { by, thread_id, title, members } = group;
        let members: BTreeSet<UserId> = members.into_iter().filter(|member| *member != by).collect();
        if members.len() >= MAX_MEMBERS {
            return Err(ThreadError::Full);
        }
        let thread_id = thread_id.unwrap_or_else(|| ThreadId::from_uuid(self.ids.next()));
        // Who asks again must not fail over what its members have changed since.
        let id = Aggregate::Thread(thread_id);
        let members = match self.addable(by, members).await {
            Ok(addable) => addable,
            Err(_) if self.handler.look(id, Thread::is_open).await?.1 => Vec::new(),
            Err(refusal) => return Err(refusal),
        };
        let command = thread::Command::CreateGroup { by, title: Text::from(&title), members };
        let handled = self.handle(thread_id, by, &command, |_| ()).await?;
        Ok(Opened { thread_id, created: handled.at.is_some(), position: handled.position })
    }

    /// Gives a group another title.
    ///
    /// # Errors
    /// `NotFound`, `NotAGroup`, `Forbidden`; technical ones.
    pub async fn rename(&self, by: UserId, thread_id: ThreadId, title: &Line) -> Result<Position, ThreadError> {
        let command = thread::Command::Rename { by, title: Text::from(title) };
        Ok(self.handle(thread_id, by, &command, |_| ()).await?.position)
    }

    /// Has a group look like an upload of the caller's, or like nothing.
    ///
    /// # Errors
    /// `NotFound`, `NotAGroup`, `Forbidden`, `NoSuchUpload`, `NoPicture`; technical ones.
    pub async fn set_picture(
        &self,
        by: UserId,
        thread_id: ThreadId,
        upload: Option<AttachmentId>,
    ) -> Result<Position, ThreadError> {
        let picture = match upload {
            Some(upload) => {
                let would_do = async |picture| {
                    let asked = thread::Command::SetPicture { by, picture: Some(picture) };
                    self.handler.glance(Aggregate::Thread(thread_id), |thread| thread.decide(&asked).is_ok()).await
                };
                Some(self.attachments.picture(by, upload, Use::GroupPicture { thread_id }, would_do).await?)
            }
            None => None,
        };
        let command = thread::Command::SetPicture { by, picture };
        Ok(self.handle(thread_id, by, &command, |_| ()).await?.position)
    }

    /// Has somebody be a member, in that role or as they are.
    ///
    /// # Errors
    /// `NotFound`, `NotAGroup`, `NoSuchPerson`, `MayNotAdd`, `Forbidden`, `LastOwner`, `Full`; technical ones.
    pub async fn put_member(
        &self,
        by: UserId,
        thread_id: ThreadId,
        user_id: UserId,
        role: Option<Role>,
    ) -> Result<Position, ThreadError> {
        let id = Aggregate::Thread(thread_id);
        // Who may not add anybody learns nothing of people by trying to.
        let see = |thread: &Thread| thread.may_add(by) && !thread.has_member(user_id);
        if self.handler.look(id, see).await?.1 {
            self.addable(by, [user_id]).await?;
        }
        let command = thread::Command::PutMember { by, user_id, role };
        Ok(self.handle(thread_id, by, &command, |_| ()).await?.position)
    }

    /// Has somebody be no member; oneself: leave.
    ///
    /// # Errors
    /// `NotFound`, `NotAGroup`, `Forbidden`, `LastOwner`; technical ones.
    pub async fn remove_member(
        &self,
        by: UserId,
        thread_id: ThreadId,
        user_id: UserId,
    ) -> Result<Position, ThreadError> {
        let command = thread::Command::RemoveMember { by, user_id };
        Ok(self.handle(thread_id, by, &command, |_| ()).await?.position)
    }

    /// All of them, where all may be added.
    async fn addable(&self, by: UserId, people: impl IntoIterator<Item = UserId>) -> Result<Vec<UserId>, ThreadError> {
        let looks = people.into_iter().map(|user_id| self.look_at(by, user_id)).collect::<Vec<_>>();
        let looked: Vec<_> = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
        let (mut addable, mut refuse, mut absent) = (Vec::new(), Vec::new(), Vec::new());
        for one in looked {
            match one {
                Addable::Yes(user_id) => addable.push(user_id),
                Addable::Refuses(user_id) => refuse.push(user_id),
                Addable::Nobody(user_id) => absent.push(user_id),
            }
        }
        if !absent.is_empty() {
            return Err(ThreadError::NoSuchPerson(absent));
        }
        if refuse.is_empty() { Ok(addable) } else { Err(ThreadError::MayNotAdd(refuse)) }
    }

    async fn look_at(&self, by: UserId, user_id: UserId) -> Result<Addable, LogError> {
        let see = |user: &User| (user.is_signed_up(), user.may_be_added_by(by));
        let (exists, willing) = self.users.look(Aggregate::User(user_id), see).await?.1;
        if !exists {
            return Ok(Addable::Nobody(user_id));
        }
        let direct = Aggregate::Thread(ThreadId::direct(by, user_id));
        let blocked = self.handler.look(direct, |thread| thread.is_blocked_by(user_id)).await?.1;
        Ok(if willing && !blocked { Addable::Yes(user_id) } else { Addable::Refuses(user_id) })
    }
}

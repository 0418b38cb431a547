//! A person's account as the log knows it: whether it exists, which sessions
//! are open, and what others may. Passwords and names are not needed to decide
//! and not here: of a password only how often it was changed.

use crate::{
    decider::{Aggregate, Decider, Fact},
    picture::{Changed, NoPicture, Picture},
};
use events::{
    AttachmentId, Event, SessionId, Text, ThreadId, Timestamp, UserEvent, UserId,
    event::{Adders, Number, Viewers},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One more log-in ends the oldest session.
pub const MAX_SESSIONS: usize = 64;
/// The contacts of one person.
pub const MAX_CONTACTS: usize = 5_000;
/// What one person has reported that no operator has seen to yet.
pub const MAX_REPORTS: usize = 100;
/// The threads that one person has muted, archived or pinned.
pub const MAX_KEPT_THREADS: usize = 10_000;

/// Who somebody is to the rules.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    signed_up: bool,
    /// How often the password was changed.
    epoch: u32,
    /// Oldest first.
    sessions: Vec<SessionId>,
    last_seen_visible_to: Viewers,
    may_add_me: Adders,
    picture: Option<AttachmentId>,
    /// Contacts, and whether they have an alias.
    contacts: BTreeMap<UserId, bool>,
    /// Threads that are not kept as all are at first.
    threads: BTreeMap<ThreadId, Kept>,
    /// Whether the person is let in no more.
    suspended: bool,
    /// Messages that were reported, and not seen to yet.
    reports: BTreeSet<(ThreadId, Number)>,
}

/// How a thread is shown to somebody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    muted_until: Option<Timestamp>,
    archived: bool,
    pinned: bool,
}

/// What is to change of how a thread is shown; `muted_until: Some(None)` ends a muting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    pub muted_until: Option<Option<Timestamp>>,
    pub archived: Option<bool>,
    pub pinned: Option<bool>,
}

#[derive(Debug, Clone)]
pub enum Command {
    SignUp {
        username: Text,
        display_name: Text,
    },
    /// The password was verified in that epoch.
    OpenSession {
        session_id: SessionId,
        device: Option<Text>,
        epoch: u32,
    },
    RevokeSession {
        session_id: SessionId,
    },
    /// The credential says so already: all sessions but that one end.
    ChangePassword {
        epoch: u32,
        keeps: SessionId,
    },
    ChangeProfile(Profile),
    /// Look like that, or like nothing.
    SetPicture(Option<Picture>),
    SaveContact {
        user_id: UserId,
        alias: Option<Text>,
    },
    RemoveContact {
        user_id: UserId,
    },
    KeepThread {
        thread_id: ThreadId,
        keep: Keep,
    },
    /// All that is held about the person is given to them.
    NoteExport,
    Report {
        thread_id: ThreadId,
        number: Number,
        reason: Text,
    },
    ResolveReport {
        thread_id: ThreadId,
        number: Number,
        reason: Text,
    },
    Suspend {
        reason: Text,
    },
    Restore {
        reason: Text,
    },
}

/// What a person changes of how others meet them.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    pub display_name: Option<Text>,
    pub about: Option<Text>,
    pub last_seen_visible_to: Option<Viewers>,
    pub may_add_me: Option<Adders>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("nobody signed up under this id")]
    Unknown,
    #[error("the password was changed since it was verified")]
    PasswordChanged,
    #[error("the account is suspended")]
    Suspended,
    #[error("that is more than anybody may keep")]
    TooMany,
    #[error(transparent)]
    NoPicture(#[from] NoPicture),
}

impl User {
    pub fn is_signed_up(&self) -> bool {
        self.signed_up
    }

    pub fn has_open(&self, session_id: SessionId) -> bool {
        self.sessions.contains(&session_id)
    }

    /// The open sessions, oldest first.
    pub fn sessions(&self) -> &[SessionId] {
        &self.sessions
    }

    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Whether this person lets somebody add them to groups.
    pub fn may_be_added_by(&self, adder: UserId) -> bool {
        match self.may_add_me {
            Adders::Everyone => true,
            Adders::Contacts => self.contacts.contains_key(&adder),
        }
    }

    fn save_contact(&self, user_id: UserId, alias: Option<&Text>) -> Result<Option<UserEvent>, Rejection> {
        match (self.contacts.get(&user_id), alias) {
            // An alias is not kept here: what may be the same is told again.
            (Some(false), None) => Ok(None),
            (None, _) if self.contacts.len() >= MAX_CONTACTS => Err(Rejection::TooMany),
            (Some(_) | None, _) => Ok(Some(UserEvent::ContactSaved { user_id, alias: alias.cloned() })),
        }
    }

    fn keep_thread(&self, thread_id: ThreadId, keep: Keep) -> Result<Option<UserEvent>, Rejection> {
        let before = self.threads.get(&thread_id).copied();
        let kept = before.unwrap_or_default();
        let Kept { muted_until, archived, pinned } = Kept {
            muted_until: keep.muted_until.unwrap_or(kept.muted_until),
            archived: keep.archived.unwrap_or(kept.archived),
            pinned: keep.pinned.unwrap_or(kept.pinned),
        };
        if kept == (Kept { muted_until, archived, pinned }) {
            return Ok(None);
        }
        if before.is_none() && self.threads.len() >= MAX_KEPT_THREADS {
            return Err(Rejection::TooMany);
        }
        Ok(Some(UserEvent::ThreadSettingsChanged { thread_id, muted_until, archived, pinned }))
    }

    /// What concerns operators.
    fn oversee(&self, command: &Command) -> Result<Option<UserEvent>, Rejection> {
        let is_open = |thread_id, number| self.reports.contains(&(thread_id, number));
        Ok(match command.clone() {
            Command::Report { thread_id, number, .. } if is_open(thread_id, number) => None,
            Command::Report { .. } if self.reports.len() >= MAX_REPORTS => return Err(Rejection::TooMany),
            Command::Report { thread_id, number, reason } => {
                Some(UserEvent::MessageReported { thread_id, number, reason })
            }
            Command::ResolveReport { thread_id, number, reason } => {
                is_open(thread_id, number).then_some(UserEvent::ReportResolved { thread_id, number, reason })
            }
            Command::Suspend { reason } => {
                (!self.suspended).then(|| UserEvent::Suspended { reason, ends: self.sessions.clone() })
            }
            Command::Restore { reason } => self.suspended.then_some(UserEvent::Restored { reason }),
            Command::SignUp { .. }
            | Command::OpenSession { .. }
            | Command::RevokeSession { .. }
            | Command::ChangePassword { .. }
            | Command::ChangeProfile(_)
            | Command::SetPicture(_)
            | Command::SaveContact { .. }
            | Command::RemoveContact { .. }
            | Command::KeepThread { .. }
            | Command::NoteExport => None,
        })
    }

    fn change_profile(&self, change: &Profile) -> Option<UserEvent> {
        let Profile { display_name, about, last_seen_visible_to, may_add_me } = change.clone();
        // Texts are not kept here: what may be the same is told again.
        let last_seen_visible_to = last_seen_visible_to.filter(|viewers| *viewers != self.last_seen_visible_to);
        let may_add_me = may_add_me.filter(|adders| *adders != self.may_add_me);
        let changes =
            display_name.is_some() || about.is_some() || last_seen_visible_to.is_some() || may_add_me.is_some();
        changes.then_some(UserEvent::ProfileChanged { display_name, about, last_seen_visible_to, may_add_me })
    }
}

/// The sessions that an event ends.
pub fn ended(event: &UserEvent) -> &[SessionId] {
    match event {
        UserEvent::SessionRevoked { session_id } | UserEvent::SessionOpened { replaces: Some(session_id), .. } => {
            std::slice::from_ref(session_id)
        }
        UserEvent::PasswordChanged { ends, .. } | UserEvent::Suspended { ends, .. } => ends,
        UserEvent::SessionOpened { replaces: None, .. }
        | UserEvent::SignedUp { .. }
        | UserEvent::ProfileChanged { .. }
        | UserEvent::PictureChanged { .. }
        | UserEvent::ContactSaved { .. }
        | UserEvent::ContactRemoved { .. }
        | UserEvent::ThreadSettingsChanged { .. }
        | UserEvent::DataExported {}
        | UserEvent::MessageReported { .. }
        | UserEvent::ReportResolved { .. }
        | UserEvent::Restored { .. } => &[],
    }
}

impl Decider for User {
    type Command = Command;
    type Event = UserEvent;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Option<UserEvent>, Rejection> {
        match command {
            Command::SignUp { .. } if self.signed_up => Ok(None),
            Command::SignUp { username, display_name } => {
                Ok(Some(UserEvent::SignedUp { username: username.clone(), display_name: display_name.clone() }))
            }
            _ if !self.signed_up => Err(Rejection::Unknown),
            Command::OpenSession { .. } if self.suspended => Err(Rejection::Suspended),
            Command::OpenSession { session_id, .. } if self.has_open(*session_id) => Ok(None),
            Command::OpenSession { epoch, .. } if *epoch < self.epoch => Err(Rejection::PasswordChanged),
            Command::OpenSession { session_id, device, .. } => {
                let replaces = self.sessions.first().copied().filter(|_| self.sessions.len() >= MAX_SESSIONS);
                Ok(Some(UserEvent::SessionOpened { session_id: *session_id, device: device.clone(), replaces }))
            }
            Command::RevokeSession { session_id } => {
                Ok(self.has_open(*session_id).then_some(UserEvent::SessionRevoked { session_id: *session_id }))
            }
            Command::ChangePassword { epoch, .. } if *epoch <= self.epoch => Ok(None),
            Command::ChangePassword { epoch, keeps } => {
                let ends = self.sessions.iter().copied().filter(|open| open != keeps).collect();
                Ok(Some(UserEvent::PasswordChanged { epoch: *epoch, ends }))
            }
            Command::ChangeProfile(change) => Ok(self.change_profile(change)),
            Command::SetPicture(picture) => {
                let changed = Picture::change(self.picture, picture.as_ref())?;
                Ok(changed.map(|Changed { picture, replaces }| UserEvent::PictureChanged { picture, replaces }))
            }
            Command::SaveContact { user_id, alias } => self.save_contact(*user_id, alias.as_ref()),
            Command::RemoveContact { user_id } => {
                Ok(self.contacts.contains_key(user_id).then_some(UserEvent::ContactRemoved { user_id: *user_id }))
            }
            Command::KeepThread { thread_id, keep } => self.keep_thread(*thread_id, *keep),
            Command::NoteExport => Ok(Some(UserEvent::DataExported {})),
            Command::Report { .. }
            | Command::ResolveReport { .. }
            | Command::Suspend { .. }
            | Command::Restore { .. } => self.oversee(command),
        }
    }

    fn evolve(&mut self, fact: Fact<'_, UserEvent>) {
        let ended = ended(fact.event);
        self.sessions.retain(|open| !ended.contains(open));
        match fact.event {
            UserEvent::SignedUp { .. } => self.signed_up = true,
            UserEvent::SessionOpened { session_id, .. } => self.sessions.push(*session_id),
            UserEvent::SessionRevoked { .. } | UserEvent::DataExported {} => {}
            UserEvent::MessageReported { thread_id, number, .. } => _ = self.reports.insert((*thread_id, *number)),
            UserEvent::ReportResolved { thread_id, number, .. } => _ = self.reports.remove(&(*thread_id, *number)),
            UserEvent::Suspended { .. } => self.suspended = true,
            UserEvent::Restored { .. } => self.suspended = false,
            UserEvent::PasswordChanged { epoch, .. } => self.epoch = *epoch,
            UserEvent::ProfileChanged { last_seen_visible_to, may_add_me, .. } => {
                self.last_seen_visible_to = last_seen_visible_to.unwrap_or(self.last_seen_visible_to);
                self.may_add_me = may_add_me.unwrap_or(self.may_add_me);
            }
            UserEvent::PictureChanged { picture, .. } => {
                self.picture = picture.as_ref().map(|picture| picture.attachment_id);
            }
            UserEvent::ContactSaved { user_id, alias } => _ = self.contacts.insert(*user_id, alias.is_some()),
            UserEvent::ContactRemoved { user_id } => _ = self.contacts.remove(user_id),
            UserEvent::ThreadSettingsChanged { thread_id, muted_until, archived, pinned } => {
                let kept = Kept { muted_until: *muted_until, archived: *archived, pinned: *pinned };
                if kept == Kept::default() {
                    self.threads.remove(thread_id);
                } else {
                    self.threads.insert(*thread_id, kept);
                }
            }
        }
    }
}

impl Aggregate for User {
    const SHAPE: &'static str = "user.5";

    fn own(event: &Event) -> Option<&UserEvent> {
        match event {
            Event::User(event) => Some(event),
            Event::Thread(_) | Event::Receipts(_) | Event::Presence(_) | Event::Deployment(_) => None,
        }
    }

    fn weight(&self) -> usize {
        128 + self.sessions.len() * 16 + self.contacts.len() * 32 + self.threads.len() * 64 + self.reports.len() * 32
    }
}

#[cfg(test)]
#[path = "user_tests.rs"]
mod tests;

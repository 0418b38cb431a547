//! The facts. **Their names and fields are the storage format**: a shape that
//! was ever written decodes for ever. A changed shape is a new variant with the
//! next number in its tag, and a golden sample beside the old ones.

use crate::{Attachment, AttachmentId, Emoji, MessageKey, SessionId, Text, ThreadId, Timestamp, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A message's number in its thread: 1, 2, 3 … without gaps.
pub type Number = u32;

/// Any fact, by the kind of aggregate that its subject names.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    User(UserEvent),
    Thread(ThreadEvent),
    Receipts(ReceiptEvent),
    Presence(PresenceEvent),
    Deployment(DeploymentEvent),
}

/// What happens to a person's account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum UserEvent {
    /// Somebody has an account.
    #[serde(rename = "signed_up.1")]
    SignedUp { username: Text, display_name: Text },
    /// A log-in. `replaces` is the oldest session, ended because there were too many.
    #[serde(rename = "session_opened.1")]
    SessionOpened {
        session_id: SessionId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<Text>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<SessionId>,
    },
    /// A device is logged out.
    #[serde(rename = "session_revoked.1")]
    SessionRevoked { session_id: SessionId },
    /// The password is another. Its changes count as epochs; `ends` are the sessions that it ended.
    #[serde(rename = "password_changed.1")]
    PasswordChanged { epoch: u32, ends: Vec<SessionId> },
    /// What was changed, and nothing else.
    #[serde(rename = "profile_changed.1")]
    ProfileChanged {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        display_name: Option<Text>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<Text>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_seen_visible_to: Option<Viewers>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        may_add_me: Option<Adders>,
    },
    /// How the person looks, or nothing any more. `replaces`: the picture before, which goes.
    #[serde(rename = "picture_changed.1")]
    PictureChanged {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        picture: Option<Attachment>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<AttachmentId>,
    },
    /// Somebody is a contact, under that alias or none.
    #[serde(rename = "contact_saved.1")]
    ContactSaved {
        user_id: UserId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alias: Option<Text>,
    },
    /// Somebody is no contact any more.
    #[serde(rename = "contact_removed.1")]
    ContactRemoved { user_id: UserId },
    /// How the person keeps a thread, all of it.
    #[serde(rename = "thread_settings_changed.1")]
    ThreadSettingsChanged {
        thread_id: ThreadId,
        /// Milliseconds since 1970.
        #[serde(default, with = "chrono::serde::ts_milliseconds_option", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<i64>")]
        muted_until: Option<Timestamp>,
        archived: bool,
        pinned: bool,
    },
    /// The person was given all that is held about them.
    #[serde(rename = "data_exported.1")]
    DataExported {},
    /// The person told the operators of a message that they see, and why.
    #[serde(rename = "message_reported.1")]
    MessageReported { thread_id: ThreadId, number: Number, reason: Text },
    /// The actor, an operator, has seen to what the person reported.
    #[serde(rename = "report_resolved.1")]
    ReportResolved { thread_id: ThreadId, number: Number, reason: Text },
    /// The actor, an operator, lets the person in no more; `ends` are the sessions that were open.
    #[serde(rename = "suspended.1")]
    Suspended { reason: Text, ends: Vec<SessionId> },
    /// The actor, an operator, lets the person in again.
    #[serde(rename = "restored.1")]
    Restored { reason: Text },
}

/// Who may see when somebody was last there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Viewers {
    #[default]
    Everyone,
    Contacts,
    Nobody,
}

/// Who may add somebody to a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Adders {
    #[default]
    Everyone,
    Contacts,
}

/// What a member may in a group, rising.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    #[default]
    Member,
    Admin,
    Owner,
}

/// What happens in a thread. The actor is a member, except where one blocks the other before their thread is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum ThreadEvent {
    /// Two people have a direct thread: the actor and `peer`.
    #[serde(rename = "direct_opened.1")]
    DirectOpened { peer: UserId },
    /// The actor wrote. `opens` names the peer where this is also the direct thread's opening.
    #[serde(rename = "message_sent.1")]
    MessageSent {
        number: Number,
        key: MessageKey,
        body: Text,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<Number>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opens: Option<UserId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<UserId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attachments: Vec<Attachment>,
    },
    /// The actor replaced the text of a message of theirs, and with it whom it mentions.
    #[serde(rename = "message_edited.1")]
    MessageEdited {
        number: Number,
        body: Text,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<UserId>,
    },
    /// For good: whatever is edited later, or reacted, counts for nothing. `attachments` go with it.
    #[serde(rename = "message_deleted.1")]
    MessageDeleted {
        number: Number,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attachments: Vec<AttachmentId>,
    },
    /// The actor reacts to a message.
    #[serde(rename = "reaction_added.1")]
    ReactionAdded { number: Number, emoji: Emoji },
    /// The actor reacts no more.
    #[serde(rename = "reaction_removed.1")]
    ReactionRemoved { number: Number, emoji: Emoji },
    /// The actor owns a new group; `members` are the others.
    #[serde(rename = "group_created.1")]
    GroupCreated { title: Text, members: Vec<UserId> },
    /// The group is called otherwise. `number`, here and below: the message that it follows.
    #[serde(rename = "renamed.1")]
    Renamed { title: Text, number: Number },
    /// How the group looks, or nothing any more. `replaces`: the picture before, which goes.
    #[serde(rename = "picture_changed.1")]
    PictureChanged {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        picture: Option<Attachment>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<AttachmentId>,
        number: Number,
    },
    /// Somebody is a member.
    #[serde(rename = "member_added.1")]
    MemberAdded { user_id: UserId, role: Role, number: Number },
    /// Somebody is no member any more; the actor removed them.
    #[serde(rename = "member_removed.1")]
    MemberRemoved { user_id: UserId, number: Number },
    /// The actor is no member any more.
    #[serde(rename = "member_left.1")]
    MemberLeft { number: Number },
    /// A member may do more, or less.
    #[serde(rename = "role_changed.1")]
    RoleChanged { user_id: UserId, role: Role, number: Number },
    /// The actor wants to hear nothing of the other: in the direct thread of the two, open or not.
    #[serde(rename = "peer_blocked.1")]
    PeerBlocked { peer: UserId },
    /// The actor hears the other again.
    #[serde(rename = "peer_unblocked.1")]
    PeerUnblocked { peer: UserId },
}

/// What people have got and read, coalesced over the threads of one partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum ReceiptEvent {
    /// So far have people got and read.
    #[serde(rename = "receipts_advanced.1")]
    ReceiptsAdvanced { receipts: Vec<Receipt> },
}

/// One person's watermarks in one thread: everything up to and including those numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    pub thread_id: ThreadId,
    pub user_id: UserId,
    pub delivered: Number,
    pub read: Number,
}

/// Who is connected to a gateway, each a fact of one lease of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum PresenceEvent {
    /// Who has come and who has gone, however many devices each has there; nobody is both. Who stays for long is told
    /// again: the facts do not last for ever.
    #[serde(rename = "presence_changed.1")]
    PresenceChanged {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        came: Vec<UserId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        went: Vec<UserId>,
    },
    /// Everybody has gone, and nobody comes any more.
    #[serde(rename = "gateway_lost.1")]
    GatewayLost {},
}

/// What concerns the deployment as a whole. The actor is an operator, who has an id and a key as people have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum DeploymentEvent {
    /// Somebody is an operator from now on: the actor themselves.
    #[serde(rename = "operator_added.1")]
    OperatorAdded { name: Text },
    /// The actor is no operator any more.
    #[serde(rename = "operator_removed.1")]
    OperatorRemoved {},
    /// Nobody can sign up.
    #[serde(rename = "sign_up_closed.1")]
    SignUpClosed { reason: Text },
    /// Everybody can sign up again.
    #[serde(rename = "sign_up_opened.1")]
    SignUpOpened { reason: Text },
    /// The actor read what a person did, and what was done to them.
    #[serde(rename = "user_audited.1")]
    UserAudited { user_id: UserId },
    /// The actor read what was done in a thread.
    #[serde(rename = "thread_audited.1")]
    ThreadAudited { thread_id: ThreadId },
}

/// The texts of a fact, in the fixed order by which their seals are numbered.
macro_rules! texts {
    ($event:expr, $iter:ident $(, $mut:tt)?) => {
        match $event {
            Event::User(UserEvent::SignedUp { username, display_name }) => vec![username, display_name],
            Event::User(UserEvent::SessionOpened { device, .. }) => device.$iter().collect(),
            Event::User(UserEvent::ProfileChanged { display_name, about, .. }) => {
                display_name.$iter().chain(about).collect()
            }
            Event::User(UserEvent::ContactSaved { alias, .. }) => alias.$iter().collect(),
            Event::User(
                UserEvent::MessageReported { reason, .. }
                | UserEvent::ReportResolved { reason, .. }
                | UserEvent::Suspended { reason, .. }
                | UserEvent::Restored { reason },
            )
            | Event::Deployment(
                DeploymentEvent::SignUpClosed { reason } | DeploymentEvent::SignUpOpened { reason },
            ) => vec![reason],
            Event::Deployment(DeploymentEvent::OperatorAdded { name }) => vec![name],
            Event::Thread(ThreadEvent::MessageSent { body, attachments, .. }) => {
                let names = attachments.$iter().map(|attachment| & $($mut)? attachment.name);
                [body].into_iter().chain(names).collect()
            }
            Event::Thread(ThreadEvent::MessageEdited { body, .. }) => vec![body],
            Event::User(UserEvent::PictureChanged { picture, .. })
            | Event::Thread(ThreadEvent::PictureChanged { picture, .. }) => {
                picture.$iter().map(|picture| & $($mut)? picture.name).collect()
            }
            Event::Thread(ThreadEvent::GroupCreated { title, .. } | ThreadEvent::Renamed { title, .. }) => vec![title],
            Event::User(
                UserEvent::SessionRevoked { .. }
                | UserEvent::PasswordChanged { .. }
                | UserEvent::ContactRemoved { .. }
                | UserEvent::ThreadSettingsChanged { .. }
                | UserEvent::DataExported {},
            )
            | Event::Deployment(
                DeploymentEvent::OperatorRemoved {}
                | DeploymentEvent::UserAudited { .. }
                | DeploymentEvent::ThreadAudited { .. },
            )
            | Event::Thread(
                ThreadEvent::DirectOpened { .. }
                | ThreadEvent::MessageDeleted { .. }
                | ThreadEvent::ReactionAdded { .. }
                | ThreadEvent::ReactionRemoved { .. }
                | ThreadEvent::MemberAdded { .. }
                | ThreadEvent::MemberRemoved { .. }
                | ThreadEvent::MemberLeft { .. }
                | ThreadEvent::RoleChanged { .. }
                | ThreadEvent::PeerBlocked { .. }
                | ThreadEvent::PeerUnblocked { .. },
            )
            | Event::Receipts(ReceiptEvent::ReceiptsAdvanced { .. })
            | Event::Presence(PresenceEvent::PresenceChanged { .. } | PresenceEvent::GatewayLost {}) => Vec::new(),
        }
    };
}

impl Event {
    pub(crate) fn texts_mut(&mut self) -> Vec<&mut Text> {
        texts!(self, iter_mut, mut)
    }

    /// All that somebody wrote or is called, of what a fact says.
    pub fn texts(&self) -> Vec<&Text> {
        texts!(self, iter)
    }

    /// The number of the message that a fact of a thread is about, or follows.
    pub fn number(&self) -> Option<Number> {
        let Self::Thread(event) = self else { return None };
        match event {
            ThreadEvent::MessageSent { number, .. }
            | ThreadEvent::MessageEdited { number, .. }
            | ThreadEvent::MessageDeleted { number, .. }
            | ThreadEvent::ReactionAdded { number, .. }
            | ThreadEvent::ReactionRemoved { number, .. }
            | ThreadEvent::Renamed { number, .. }
            | ThreadEvent::PictureChanged { number, .. }
            | ThreadEvent::MemberAdded { number, .. }
            | ThreadEvent::MemberRemoved { number, .. }
            | ThreadEvent::MemberLeft { number }
            | ThreadEvent::RoleChanged { number, .. } => Some(*number),
            ThreadEvent::DirectOpened { .. }
            | ThreadEvent::GroupCreated { .. }
            | ThreadEvent::PeerBlocked { .. }
            | ThreadEvent::PeerUnblocked { .. } => None,
        }
    }
}

impl From<UserEvent> for Event {
    fn from(event: UserEvent) -> Self {
        Self::User(event)
    }
}

impl From<ThreadEvent> for Event {
    fn from(event: ThreadEvent) -> Self {
        Self::Thread(event)
    }
}

impl From<ReceiptEvent> for Event {
    fn from(event: ReceiptEvent) -> Self {
        Self::Receipts(event)
    }
}

impl From<PresenceEvent> for Event {
    fn from(event: PresenceEvent) -> Self {
        Self::Presence(event)
    }
}

impl From<DeploymentEvent> for Event {
    fn from(event: DeploymentEvent) -> Self {
        Self::Deployment(event)
    }
}

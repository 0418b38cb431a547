//! `directory`: who people are. Facts of users only.

use crate::projection::Projection;
use events::{
    Aggregate, Envelope, Event, Text, Timestamp, UserEvent, UserId,
    event::{ReceiptEvent, ThreadEvent},
};

/// People to add.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Directory {
    pub(crate) users: Vec<Person>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Person {
    pub(crate) user_id: UserId,
    pub(crate) username: Text,
    pub(crate) display_name: Text,
    pub(crate) created_at: Timestamp,
}

impl Projection for Directory {
    fn project(&mut self, envelope: &Envelope) {
        let Aggregate::User(user_id) = envelope.aggregate else { return };
        match &envelope.event {
            Event::User(UserEvent::SignedUp { username, display_name }) => self.users.push(Person {
                user_id,
                username: username.clone(),
                display_name: display_name.clone(),
                created_at: envelope.at,
            }),
            Event::User(UserEvent::SessionOpened { .. } | UserEvent::SessionRevoked { .. })
            | Event::Thread(ThreadEvent::DirectOpened { .. } | ThreadEvent::MessageSent { .. })
            | Event::Receipts(ReceiptEvent::ReceiptsAdvanced { .. }) => {}
        }
    }

    fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

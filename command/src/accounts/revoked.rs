//! The sessions that ended lately, as this node heard it from the log. An older
//! end needs no memory: its access tokens are over by themselves.

use super::token::{LEEWAY, LIFETIME};
use crate::user::ended;
use events::{Envelope, Event, SessionId, Timestamp};
use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

#[derive(Default)]
pub(super) struct Revoked(RwLock<HashMap<SessionId, Timestamp>>);

/// Sweeping costs a look at every entry, so it waits for the set to grow by this much.
const SWEEP_AT: usize = 10_000;

impl Revoked {
    pub(super) fn contains(&self, session_id: SessionId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains_key(&session_id)
    }

    pub(super) fn insert(&self, session_id: SessionId, now: Timestamp) {
        let mut revoked = self.0.write().unwrap_or_else(PoisonError::into_inner);
        revoked.insert(session_id, now);
        if revoked.len().is_multiple_of(SWEEP_AT) {
            revoked.retain(|_, at| now.signed_duration_since(*at) <= LIFETIME + LEEWAY);
        }
    }

    pub(super) fn observe(&self, envelope: &Envelope, now: Timestamp) {
        let Event::User(event) = &envelope.event else { return };
        for session_id in ended(event) {
            self.insert(*session_id, now);
        }
    }
}

//! A part of a list, and where the next one begins.

use crate::Cursor;

/// Some items, and the cursor of the next, if there is more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<T> {
    pub items: Vec<T>,
    pub next: Option<Cursor>,
}

impl<T> Paged<T> {
    /// Of one more item than fits: the page, and where the next begins if there is that one more.
    pub(crate) fn new(mut items: Vec<T>, limit: u16, cursor: impl FnOnce(&T) -> Cursor) -> Self {
        let more = items.len() > usize::from(limit);
        items.truncate(limit.into());
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next }
    }
}

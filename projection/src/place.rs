//! Where a generation of a view stands: the one that serves, the one that is
//! built beside it, and the one that it came after.

use crate::View;
use std::fmt;

/// What a generation is at the moment; its schema's name says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Living,
    Next,
    Previous,
}

/// The schema of a view's generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schema {
    pub(crate) view: View,
    pub(crate) place: Place,
}

impl Schema {
    pub(crate) fn living(view: View) -> Self {
        Self { view, place: Place::Living }
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = match self.place {
            Place::Living => "",
            Place::Next => "_next",
            Place::Previous => "_prev",
        };
        write!(f, "{}{suffix}", self.view)
    }
}

//! How far each view is known to have come. Announcements raise it, and so does
//! every look at a checkpoint; who must read what they wrote waits here.

use crate::View;
use events::{Position, Vector};
use std::{fmt, sync::Arc};
use tokio::sync::watch;

/// The newest checkpoint heard of, for each view. Clones share it.
#[derive(Clone, Default)]
pub struct Freshness(Arc<[watch::Sender<Vector>; View::ALL.len()]>);

/// A view has not come as far as was asked for in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Behind {
    pub view: View,
    pub missing: Vec<Missing>,
}

/// How far a view is behind in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    pub wanted: Position,
    pub applied: u64,
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} view is behind:", self.view)?;
        for (index, Missing { wanted, applied }) in self.missing.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma} {wanted} is wanted, {}:{applied} is applied", wanted.partition)?;
        }
        Ok(())
    }
}

impl Freshness {
    /// A runner tells how far its view has come.
    pub fn announced(&self, view: View, applied: &Vector) {
        self.sender(view).send_if_modified(|known| {
            let news = !known.covers(applied);
            if news {
                applied.iter().for_each(|position| known.raise(position));
            }
            news
        });
    }

    /// The newest that is known.
    pub fn applied(&self, view: View) -> Vector {
        self.sender(view).borrow().clone()
    }

    /// Waits until the view is known to have applied that much.
    pub(crate) async fn reach(&self, view: View, wanted: &Vector) {
        let mut applied = self.sender(view).subscribe();
        // The sender lives as long as this handle.
        applied.wait_for(|applied| applied.covers(wanted)).await.ok();
    }

    /// Replaces what was known: the view was built anew, and is not as far as it was.
    pub(crate) fn fell_back(&self, view: View, applied: &Vector) {
        self.sender(view).send_replace(applied.clone());
    }

    fn sender(&self, view: View) -> &watch::Sender<Vector> {
        &self.0[view.index()]
    }
}

impl Behind {
    pub(crate) fn new(view: View, wanted: &Vector, applied: &Vector) -> Self {
        let missing = wanted
            .iter()
            .map(|wanted| Missing { wanted, applied: applied.get(wanted.partition) })
            .filter(|missing| missing.applied < missing.wanted.sequence)
            .collect();
        Self { view, missing }
    }
}

//! Rows to answers. Each question is one statement in each database that it is
//! put to: it authorises, answers and tells as of what checkpoint in one snapshot.
//! Names are qualified, because a rebuilt view is swapped in by renaming schemas.

mod answer;
mod aside;
pub mod audit;
mod cursor;
pub mod directory;
mod error;
pub mod files;
pub mod freshness;
pub mod held;
pub mod inbox;
mod measures;
pub mod missed;
mod paged;
pub mod presence;
pub mod search;
mod settings;
mod shards;
pub mod timeline;
mod view;
mod views;
pub mod waiting;

#[cfg(test)]
mod tests;

pub use answer::Answer;
pub use aside::SetAside;
pub use cursor::{Cursor, InvalidCursor};
pub use error::Error;
pub use freshness::Behind;
use freshness::Freshness;
pub use paged::Paged;
pub use view::View;
pub use views::{Connections, Views};

//! Facts to rows. One pure projection for each view, a store that writes what
//! they say in sets, and a runner that commits rows and checkpoint in one
//! transaction. To add a view: its migrations, its projection, its `Store`.

mod audit;
mod database;
mod delay;
mod desk;
mod directory;
mod error;
mod figures;
mod generation;
mod inbox;
mod intake;
mod keeper;
mod measures;
mod membership;
mod place;
mod presence;
mod projection;
mod quarantine;
mod rebuild;
mod redrive;
mod runner;
mod search;
mod sketch;
mod source;
mod store;
mod timeline;
mod view;

#[cfg(test)]
mod figures_tests;
#[cfg(test)]
mod search_tests;
#[cfg(test)]
mod sketch_tests;
#[cfg(test)]
mod tests;

pub use delay::Delay;
pub use error::Error;
pub use keeper::keep_generations;
pub use rebuild::{BATCH, Compared, Goal, KEEP, Only, Prepared, Progress, Rebuild, Rebuilt, Status, Step};
pub use redrive::{Quarantined, quarantined, redrive};
pub use runner::{Applied, Runner};
pub use view::View;

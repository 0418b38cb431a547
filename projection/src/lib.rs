//! Facts to rows. One pure projection for each view, a store that writes what
//! they say in sets, and a runner that commits rows and checkpoint in one
//! transaction. To add a view: its migrations, its projection, its `Store`.

mod delay;
mod directory;
mod error;
mod generation;
mod inbox;
mod intake;
mod measures;
mod membership;
mod presence;
mod projection;
mod runner;
mod search;
mod store;
mod timeline;
mod view;

#[cfg(test)]
mod search_tests;
#[cfg(test)]
mod tests;

pub use delay::Delay;
pub use error::Error;
pub use runner::{Applied, Runner};
pub use view::View;

//! Intent to fact: pure deciders, the load-decide-append handler around them,
//! and accounts. Knows the log, and neither views nor sockets.
//!
//! To add a command: a variant in the aggregate's `Command`, its rule in
//! `decide`, its event's effect in `evolve`, a row in the aggregate's `tests`.

pub mod accounts;
pub mod attachments;
pub mod decider;
pub mod deployment;
pub mod handler;
pub mod operators;
pub mod people;
pub mod picture;
pub mod policy;
pub mod presence;
pub mod receipts;
#[cfg(test)]
mod spec;
pub mod thread;
pub mod threads;
pub mod user;

pub use accounts::Accounts;
pub use attachments::Attachments;
pub use decider::{Decider, Fact};
pub use operators::Operators;
pub use people::People;
pub use presence::Presence;
pub use threads::Threads;

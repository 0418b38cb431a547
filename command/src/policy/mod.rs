//! What must follow, whoever began it and was cut off. A policy keeps how far it
//! has come in a bucket, by compare-and-set; its commands are idempotent, so that
//! any number of nodes may run it.

mod files;
mod gateways;
mod progress;
mod promises;

pub use files::Files;
pub use gateways::Gateways;
pub use promises::Promises;

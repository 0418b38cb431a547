//! The composition of Herald: command line, configuration, embedded servers, and
//! the node that runs the rooms together. Decides nothing about messages.

mod announced;
pub mod bench;
pub mod cli;
mod config;
pub mod embedded;
mod files;
pub mod metrics;
pub mod node;
mod operate;
mod push;

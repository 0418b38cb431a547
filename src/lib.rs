//! The composition of Herald: command line, configuration, embedded servers, and
//! the node that runs the rooms together. Decides nothing about messages.

mod args;
pub mod bench;
mod chat;
pub mod cli;
mod config;
pub mod databases;
pub mod embedded;
mod estimate;
mod files;
pub mod metrics;
pub mod node;
mod nodes;
pub mod operate;
mod push;
mod secret;

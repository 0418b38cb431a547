//! The composition of Herald: command line, configuration, embedded servers, and
//! the node that runs the rooms together. Decides nothing about messages.

pub mod cli;
pub mod embedded;
pub mod node;

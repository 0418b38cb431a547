//! Those who read the log from outside: what they are told, and what they may.

mod client;
mod printed;
mod reading;
mod rights;
mod snippets;

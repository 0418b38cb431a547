//! The socket's messages: what clients say, parsed once and strictly, and what
//! they are told, encoded once for all who hear it. Pure; no frame is spelled
//! anywhere else.

mod attached;
mod client;
mod server;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use attached::Attached;
pub(crate) use client::{AmendFrame, Change as Amendment, ClientFrame, Fault, RequestId, Resume};
pub(crate) use server::{Ack, Change, Error, ServerFrame, ack, error};
pub(crate) use wire::{Kind, SendFrame};

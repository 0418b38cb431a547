//! The edge: REST routes and sockets. Parses what clients say into value types
//! once, calls command and query, and turns their answers and refusals into HTTP
//! and frames. Decides nothing, stores nothing.

mod address;
mod amending;
mod app;
mod asyncapi;
mod auth;
mod cursor;
mod disposition;
mod door;
mod json;
mod limits;
mod measures;
mod openapi;
mod operators;
mod params;
mod places;
mod positions;
mod problem;
mod readiness;
mod refusals;
mod rest;
mod scan;
mod seam;
mod sending;
mod serve;
mod shapes;
mod since;
mod stall;
mod time;
mod tls;
mod trace;
mod waiting;

mod frame;
pub mod held;
pub mod hub;
pub mod push;
mod session;
mod socket;

pub use address::Proxy;
pub use app::{App, DEAF_AFTER, Settings};
pub use asyncapi::document as asyncapi;
pub use openapi::document as openapi;
pub use operators::document as operators_openapi;
pub use problem::{Kind, Problem};
pub use rest::router;
pub use serve::{serve, serve_operators};
pub use tls::{Tls, TlsError};
pub use waiting::wait;

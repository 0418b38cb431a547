//! Free ports of the loopback, for servers that must know theirs, or each
//! other's, before they start.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// So many different ports: all are held until the last is found, and then let go.
pub(super) fn free(count: usize) -> io::Result<Vec<u16>> {
    let held: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<_>>()?;
    held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

//! Bare writes: frames' bytes to each of many sockets in turn, one system call
//! each, read by somebody who does nothing with them.

use super::Floor;
use std::{
    fs,
    io::Write,
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::Duration,
};
use tokio::{
    io::AsyncReadExt,
    task::{JoinSet, spawn_blocking},
    time::Instant,
};

const SOCKETS: usize = 200;
const FRAME: usize = 300;
const BUFFER: usize = 64 * 1024;

/// So many frames in one write.
pub(super) async fn measure(joined: usize, lasting: Duration) -> anyhow::Result<Floor> {
    let mut readers = JoinSet::new();
    let mut sockets = Vec::with_capacity(SOCKETS);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    for _ in 0..SOCKETS {
        sockets.push(TcpStream::connect(listener.local_addr()?)?);
        let (reader, _) = listener.accept()?;
        reader.set_nonblocking(true)?;
        let mut reader = tokio::net::TcpStream::from_std(reader)?;
        readers.spawn(async move {
            let mut buffer = vec![0; BUFFER];
            while reader.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
        });
    }
    let began = Instant::now();
    let (frames, used) = spawn_blocking(move || write(sockets, joined, began, lasting)).await??;
    let took = began.elapsed();
    while readers.join_next().await.is_some() {}
    let mut floor = Floor::of(frames, took, None, None);
    floor.server_us = used.map(|used| used / super::float(frames));
    Ok(floor)
}

/// The frames that were written, and the CPU microseconds that it took.
fn write(
    mut sockets: Vec<TcpStream>,
    joined: usize,
    began: Instant,
    lasting: Duration,
) -> std::io::Result<(u64, Option<f64>)> {
    let frames = vec![b'x'; FRAME * joined];
    let (before, mut writes) = (used(), 0);
    while began.elapsed() < lasting {
        for socket in &mut sockets {
            socket.write_all(&frames)?;
            writes += 1;
        }
    }
    let used = before.zip(used()).map(|(before, after)| super::float(after - before) / 1_000.0);
    Ok((writes * u64::try_from(joined).unwrap_or(u64::MAX), used))
}

/// The CPU nanoseconds of this thread.
fn used() -> Option<u64> {
    fs::read_to_string("/proc/thread-self/schedstat").ok()?.split_ascii_whitespace().next()?.parse().ok()
}

//! Bare writes: a frame's bytes to each of many sockets in turn, one system
//! call each, read by somebody who does nothing with them.

use super::Floor;
use std::{
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
const FRAME: [u8; 300] = [b'x'; 300];
const BUFFER: usize = 64 * 1024;

pub(super) async fn measure(lasting: Duration) -> anyhow::Result<Floor> {
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
    let written = spawn_blocking(move || write(sockets, began, lasting)).await??;
    let took = began.elapsed();
    while readers.join_next().await.is_some() {}
    Ok(Floor::of(written, took, None, None))
}

fn write(mut sockets: Vec<TcpStream>, began: Instant, lasting: Duration) -> std::io::Result<u64> {
    let mut written = 0;
    while began.elapsed() < lasting {
        for socket in &mut sockets {
            socket.write_all(&FRAME)?;
            written += 1;
        }
    }
    Ok(written)
}

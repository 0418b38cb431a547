//! Bare connections: each is opened, asks once, is answered with so many bytes
//! and closed, as a socket that says hello is. Both sides are in this process.

use super::Floor;
use std::{net::Ipv4Addr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

const AT_ONCE: usize = 16;
/// An upgrade and a hello.
const QUESTION: [u8; 700] = [b'x'; 700];

pub(super) async fn measure(answer: usize, lasting: Duration) -> anyhow::Result<Floor> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut question = QUESTION;
                if stream.read_exact(&mut question).await.is_ok() {
                    stream.write_all(&vec![b'x'; answer]).await.ok();
                }
            });
            while connections.try_join_next().is_some() {}
        }
    });
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..AT_ONCE {
        clients.spawn(async move {
            let mut connections = 0;
            while began.elapsed() < lasting {
                let mut stream = TcpStream::connect(address).await?;
                stream.write_all(&QUESTION).await?;
                stream.read_exact(&mut vec![0; answer]).await?;
                connections += 1;
            }
            anyhow::Ok(connections)
        });
    }
    let mut connections = 0;
    while let Some(client) = clients.join_next().await {
        connections += client??;
    }
    Ok(Floor::of(connections, began.elapsed(), None, None))
}

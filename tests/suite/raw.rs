//! A bare NATS client, for what no door of ours lets in: events of builds that
//! do not exist yet, and millions of facts within minutes.

use serde_json::{Value, json};
use std::collections::VecDeque;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// Publishes under way at once.
const WINDOW: usize = 2_000;
const INBOX: &str = "_INBOX.tests";

pub struct Raw {
    reader: BufReader<OwnedReadHalf>,
    writer: BufWriter<OwnedWriteHalf>,
    /// The sequences that are expected of those under way.
    under_way: VecDeque<u64>,
}

impl Raw {
    pub async fn connect(url: &str) -> Self {
        let (login, address) = url.strip_prefix("nats://").unwrap().split_once('@').unwrap();
        let (user, password) = login.split_once(':').unwrap();
        let (reader, writer) = TcpStream::connect(address).await.unwrap().into_split();
        let mut raw = Self {
            reader: BufReader::new(reader),
            writer: BufWriter::with_capacity(1 << 18, writer),
            under_way: VecDeque::new(),
        };
        let connect = json!({ "verbose": false, "headers": true, "user": user, "pass": password });
        let greeting = format!("CONNECT {connect}\r\nSUB {INBOX} 1\r\n");
        raw.writer.write_all(greeting.as_bytes()).await.unwrap();
        raw
    }

    /// Publishes a fact behind its aggregate's last; it becomes the stream's one of that sequence.
    pub async fn publish(&mut self, subject: &str, last: u64, payload: &[u8], sequence: u64) {
        let header = format!("NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: {last}\r\n\r\n");
        let (of_header, of_all) = (header.len(), header.len() + payload.len());
        let head = format!("HPUB {subject} {INBOX} {of_header} {of_all}\r\n{header}");
        self.writer.write_all(head.as_bytes()).await.unwrap();
        self.writer.write_all(payload).await.unwrap();
        self.writer.write_all(b"\r\n").await.unwrap();
        self.under_way.push_back(sequence);
        if self.under_way.len() == WINDOW {
            self.settle(WINDOW / 2).await;
        }
    }

    /// Waits until no more than that are under way.
    pub async fn settle(&mut self, most: usize) {
        self.writer.flush().await.unwrap();
        let mut line = String::new();
        while self.under_way.len() > most {
            line.clear();
            assert!(self.reader.read_line(&mut line).await.unwrap() > 0, "NATS has gone");
            if line.starts_with("PING") {
                self.writer.write_all(b"PONG\r\n").await.unwrap();
                self.writer.flush().await.unwrap();
            } else if line.starts_with("MSG") {
                let length: usize = line.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
                let mut ack = vec![0; length + 2];
                self.reader.read_exact(&mut ack).await.unwrap();
                let ack: Value = serde_json::from_slice(&ack[..length]).unwrap();
                assert_eq!(ack["seq"], self.under_way.pop_front().unwrap(), "{ack}");
            }
        }
    }
}

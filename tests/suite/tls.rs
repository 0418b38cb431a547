//! TLS at the edge: requests and sockets, a certificate that is renewed while the
//! node runs, and nothing in the clear.

use crate::{
    harness::{folder, program},
    process::Process,
};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustix::process::Signal;
use rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider, pki_types::CertificateDer};
use std::{fs, path::Path, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A certificate of its own for localhost, written to the two files.
fn certify(certificate: &Path, key: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(certificate, cert.pem()).unwrap();
    fs::write(key, KeyPair::serialize_pem(&signing_key)).unwrap();
    cert.der().clone()
}

async fn connect(address: &str, trusted: &CertificateDer<'static>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await
}

async fn ask(stream: &mut TlsStream<TcpStream>, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 16];
    stream.read_exact(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_sockets_are_in_tls_and_a_renewed_certificate_is_taken_without_a_restart() {
    let folder = folder("tls");
    fs::create_dir_all(&folder).unwrap();
    let (certificate, key, data) = (folder.join("cert.pem"), folder.join("key.pem"), folder.join("data"));
    let first = certify(&certificate, &key);
    let paths = [&data, &certificate, &key].map(|path| path.to_str().unwrap());
    let arguments = ["--data", paths[0], "--durability", "unsynced", "--tls-cert", paths[1], "--tls-key", paths[2]];
    let herald = Process::start(&arguments).await;
    let address = herald.url.strip_prefix("https://").unwrap();

    let mut stream = connect(address, &first).await.unwrap();
    let answer = ask(&mut stream, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(answer, "HTTP/1.1 200 OK\r");
    let upgrade = "GET /v1/socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut socket = connect(address, &first).await.unwrap();
    assert!(ask(&mut socket, upgrade).await.starts_with("HTTP/1.1 101 "));
    let mut clear = TcpStream::connect(address).await.unwrap();
    clear.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    clear.read_to_end(&mut answer).await.ok();
    assert!(!answer.starts_with(b"HTTP"), "nothing is answered in the clear");

    let second = certify(&certificate, &key);
    assert!(connect(address, &second).await.is_err(), "not read by itself");
    herald.signal(Signal::HUP);
    while connect(address, &second).await.is_err() {}
    assert!(connect(address, &first).await.is_err());
    // A broken one is not taken.
    fs::write(&certificate, "nothing").unwrap();
    herald.signal(Signal::HUP);
    while !herald.said().lines().iter().any(|line| line.contains("stays in use")) {
        connect(address, &second).await.unwrap();
    }
    assert!(herald.terminate().await.success());

    certify(&certificate, &folder.join("other.pem"));
    let refused = Command::new(program()).args(arguments).kill_on_drop(true).output().await.unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("do not fit"), "{said}");
}

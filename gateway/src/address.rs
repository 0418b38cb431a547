//! Where a request comes from. `X-Forwarded-For` is believed only as far as
//! proxies wrote it that the operator trusts: whatever a client puts there
//! itself stands further to the left and is never reached.

use crate::{app::App, problem::Problem};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, request::Parts},
};
use ipnet::IpNet;
use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of the connection that a request came on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The address of whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client(pub(crate) IpAddr);

/// A proxy, or a network of them, whose word is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxy(IpNet);

impl FromStr for Proxy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(Self).map_err(|_| "is neither an IP address nor a network as 10.0.0.0/8")
    }
}

impl FromRequestParts<App> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        // A request that came by no connection is a test's or this process's own.
        let peer = parts.extensions.get::<Peer>().map_or(Ipv4Addr::LOCALHOST.into(), |peer| peer.0.ip());
        Ok(client(peer, &parts.headers, &app.settings.trusted_proxies))
    }
}

impl From<Infallible> for Problem {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Back along the proxies, until one is not trusted or does not say whence.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Proxy]) -> Client {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|proxy| proxy.0.contains(address));
    let mut client = peer.to_canonical();
    let lines = headers.get_all(X_FORWARDED_FOR).iter().map(|line| line.to_str().unwrap_or_default());
    let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).collect();
    for hop in hops.into_iter().rev() {
        let Some(before) = address(hop.trim()).filter(|_| is_trusted(&client)) else { break };
        client = before;
    }
    Client(client)
}

/// Some proxies write the port too.
fn address(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::{Proxy, X_FORWARDED_FOR, client};
    use axum::http::{HeaderMap, HeaderValue};

    #[test]
    fn only_what_trusted_proxies_wrote_is_believed() {
        let trusted: Vec<Proxy> = ["10.0.0.0/8", "fd00::1"].map(|proxy| proxy.parse().unwrap()).to_vec();
        for (peer, lines, expected) in [
            ("203.0.113.7", &[][..], "203.0.113.7"),
            ("203.0.113.7", &["198.51.100.1"], "203.0.113.7"),
            ("10.1.2.3", &[], "10.1.2.3"),
            ("10.1.2.3", &["198.51.100.1"], "198.51.100.1"),
            ("10.1.2.3", &["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("10.1.2.3", &["1.1.1.1", "198.51.100.1, 10.9.9.9"], "198.51.100.1"),
            ("10.1.2.3", &["1.1.1.1, nonsense"], "10.1.2.3"),
            ("fd00::1", &["198.51.100.1:443"], "198.51.100.1"),
            ("::ffff:10.1.2.3", &["[2001:db8::7]:443"], "2001:db8::7"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(X_FORWARDED_FOR, HeaderValue::from_static(line));
            }
            let found = client(peer.parse().unwrap(), &headers, &trusted);
            assert_eq!(found.0, expected.parse::<std::net::IpAddr>().unwrap(), "{peer} {headers:?}");
        }
        assert!("10.0.0.0/33".parse::<Proxy>().is_err() && "localhost".parse::<Proxy>().is_err());
    }
}

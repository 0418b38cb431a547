//! Where a client that polls has come: a vector of a log, as a token. Opaque to
//! clients: base64url over the log's epoch and the vector, and a checksum. It
//! grants nothing: what it is answered with is what its caller may hear.

use crate::problem::{Kind, Problem};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use events::{Partition, Position, Vector};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Since {
    pub(crate) epoch: Uuid,
    pub(crate) vector: Vector,
}

const CHECKSUM: usize = 6;
/// A partition's number and its sequence.
const POSITION: usize = 2 + 8;

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.epoch.as_bytes().to_vec();
        for Position { partition, sequence } in self.vector.iter() {
            bytes.extend_from_slice(&partition.0.to_be_bytes());
            bytes.extend_from_slice(&sequence.to_be_bytes());
        }
        bytes.extend_from_slice(&checksum(&bytes));
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Since {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        parse(text).ok_or_else(|| {
            let detail = "is not a cursor of sync";
            Problem::new(Kind::InvalidCursor, format!("since {detail}")).with_field("since", detail)
        })
    }
}

fn parse(text: &str) -> Option<Since> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (content, sum) = bytes.split_last_chunk::<CHECKSUM>()?;
    let (epoch, mut rest) = content.split_first_chunk::<16>().filter(|_| checksum(content) == *sum)?;
    let mut vector = Vector::default();
    while let Some((&[a, b, ref sequence @ ..], more)) = rest.split_first_chunk::<POSITION>() {
        vector.set(Partition(u16::from_be_bytes([a, b])), u64::from_be_bytes(*sequence));
        rest = more;
    }
    rest.is_empty().then_some(Since { epoch: Uuid::from_bytes(*epoch), vector })
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM] {
    let digest = Sha256::new().chain_update(b"herald sync cursor").chain_update(content).finalize();
    *digest.first_chunk().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::Since;
    use crate::problem::Kind;
    use uuid::Uuid;

    fn ours(vector: &str) -> Since {
        Since { epoch: Uuid::from_u128(7), vector: vector.parse().expect("a vector") }
    }

    #[test]
    fn a_cursor_is_read_as_it_was_given_out() {
        for vector in ["", "0:0", "0:17,3:1289", "65535:18446744073709551615"] {
            assert_eq!(ours(vector).to_string().parse(), Ok(ours(vector)));
        }
    }

    #[test]
    fn what_we_did_not_give_out_is_refused() {
        let ours = ours("0:17,3:1289").to_string();
        let forged = (0..ours.len()).map(|at| {
            let other = if ours.as_bytes()[at] == b'B' { "C" } else { "B" };
            format!("{}{other}{}", &ours[..at], &ours[at + 1..])
        });
        for text in forged.chain(["", "7", "AAAAAAc", "e30", &ours[1..], &format!("{ours}=")].map(ToOwned::to_owned)) {
            assert_eq!(text.parse::<Since>().map_err(|problem| problem.kind()), Err(Kind::InvalidCursor), "{text}");
        }
    }
}

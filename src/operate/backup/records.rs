//! A bucket's records in a file: the lengths of key and value, four bytes each
//! with the lowest first, and then both. A value may be empty: that is a destroyed key.

use anyhow::{Context, ensure};
use bytes::Bytes;
use std::io::{ErrorKind, Read};

/// Far beyond what any record of ours is: a length above it is none.
const MOST: u32 = 16 << 20;

/// A record as its bytes in the file.
pub(super) fn frame(key: &str, value: &[u8], to: &mut Vec<u8>) {
    for part in [key.as_bytes(), value] {
        to.extend(u32::try_from(part.len()).expect("NATS takes no record of 4 GiB").to_le_bytes());
    }
    to.extend(key.as_bytes());
    to.extend(value);
}

/// The next record; `None` at the end.
///
/// # Errors
/// When the file ends within a record, or holds something else.
pub(crate) fn next(from: &mut impl Read) -> anyhow::Result<Option<(String, Bytes)>> {
    let Some(key) = length(from)? else { return Ok(None) };
    let value = length(from)?.context("a record is cut off")?;
    let mut part = |length: u32| -> anyhow::Result<Vec<u8>> {
        ensure!(length <= MOST, "that is no file of records");
        let mut part = vec![0; usize::try_from(length)?];
        from.read_exact(&mut part).context("a record is cut off")?;
        Ok(part)
    };
    let key = String::from_utf8(part(key)?).context("a record has no key")?;
    Ok(Some((key, part(value)?.into())))
}

fn length(from: &mut impl Read) -> anyhow::Result<Option<u32>> {
    let mut bytes = [0; 4];
    match from.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(u32::from_le_bytes(bytes))),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were() {
        let mut file = Vec::new();
        let records = [("a.key", &b"value"[..]), ("destroyed", b""), ("\u{e9}", &[0; 300])];
        for (key, value) in records {
            frame(key, value, &mut file);
        }
        let mut from = file.as_slice();
        for (key, value) in records {
            assert_eq!(next(&mut from).unwrap(), Some((key.to_owned(), Bytes::from_static(value).slice(..))));
        }
        assert_eq!(next(&mut from).unwrap(), None);
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_refused() {
        let mut file = Vec::new();
        frame("key", b"value", &mut file);
        for length in 4..file.len() {
            assert!(next(&mut &file[..length]).is_err(), "{length}");
        }
        assert!(next(&mut &[0xff; 64][..]).is_err());
    }
}

//! Page tokens of a thread's history. Opaque to clients: base64url over where the
//! next page begins, and a checksum. They grant nothing: each page is authorised.

use crate::problem::Problem;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use query::timeline::{Page, Place};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// Where the next page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    oldest_first: bool,
    last: Place,
}

const CHECKSUM: usize = 6;

impl Cursor {
    /// What follows a page that ended at that place.
    pub(crate) fn after(page: Page, last: Place) -> Self {
        Self { oldest_first: matches!(page, Page::After(_)), last }
    }

    pub(crate) fn page(self) -> Page {
        if self.oldest_first { Page::After(self.last) } else { Page::Before(self.last) }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { number, sequence } = self.last;
        let order = [u8::from(self.oldest_first)];
        let content = [&order[..], &number.to_be_bytes(), &sequence.to_be_bytes()].concat();
        f.write_str(&URL_SAFE_NO_PAD.encode([&content[..], &checksum(&content)].concat()))
    }
}

impl FromStr for Cursor {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Problem::invalid_cursor())?;
        let (content, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or_else(Problem::invalid_cursor)?;
        let place = |rest: &[u8]| {
            let (number, sequence) = rest.split_first_chunk::<4>()?;
            let sequence = u64::from_be_bytes(sequence.try_into().ok()?);
            Some(Place { number: u32::from_be_bytes(*number), sequence })
        };
        match content {
            [order @ 0..=1, rest @ ..] if checksum(content) == *sum => {
                let last = place(rest).ok_or_else(Problem::invalid_cursor)?;
                Ok(Self { oldest_first: *order == 1, last })
            }
            _ => Err(Problem::invalid_cursor()),
        }
    }
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM] {
    let digest = Sha256::new().chain_update(b"herald history cursor").chain_update(content).finalize();
    *digest.first_chunk().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::Cursor;
    use crate::problem::Kind;
    use query::timeline::{Page, Place};

    const SEVEN: Place = Place { number: 7, sequence: 3 };
    const NINE: Place = Place { number: 9, sequence: 0 };

    #[test]
    fn a_cursor_goes_on_in_the_order_of_its_page() {
        for (page, next) in [
            (Page::Latest, Page::Before(SEVEN)),
            (Page::Before(NINE), Page::Before(SEVEN)),
            (Page::After(NINE), Page::After(SEVEN)),
        ] {
            let text = Cursor::after(page, SEVEN).to_string();
            assert_eq!(text.parse::<Cursor>().expect("ours").page(), next);
        }
    }

    #[test]
    fn what_we_did_not_give_out_is_refused() {
        let ours = Cursor::after(Page::Latest, SEVEN).to_string();
        let forged = (0..ours.len()).map(|at| {
            let other = if ours.as_bytes()[at] == b'B' { "C" } else { "B" };
            format!("{}{other}{}", &ours[..at], &ours[at + 1..])
        });
        for text in forged.chain(["", "7", "AAAAAAc", "e30", &ours[1..], &format!("{ours}=")].map(ToOwned::to_owned)) {
            assert_eq!(text.parse::<Cursor>().map_err(|problem| problem.kind()), Err(Kind::InvalidCursor), "{text}");
        }
    }
}

//! Page tokens of a thread's history. Opaque to clients: base64url over where the
//! next page begins, and a checksum. They grant nothing: each page is authorised.

use crate::problem::Problem;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use events::event::Number;
use query::timeline::Page;
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// Where the next page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    oldest_first: bool,
    last: Number,
}

const CHECKSUM: usize = 6;

impl Cursor {
    /// What follows a page that ended with that number.
    pub(crate) fn after(page: Page, last: Number) -> Self {
        Self { oldest_first: matches!(page, Page::After(_)), last }
    }

    pub(crate) fn page(self) -> Page {
        if self.oldest_first { Page::After(self.last) } else { Page::Before(self.last) }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = [&[u8::from(self.oldest_first)], &self.last.to_be_bytes()[..]].concat();
        f.write_str(&URL_SAFE_NO_PAD.encode([&content[..], &checksum(&content)].concat()))
    }
}

impl FromStr for Cursor {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Problem::invalid_cursor())?;
        match bytes.split_last_chunk::<CHECKSUM>() {
            Some((&[order @ 0..=1, a, b, c, d], sum)) if checksum(&[order, a, b, c, d]) == *sum => {
                Ok(Self { oldest_first: order == 1, last: Number::from_be_bytes([a, b, c, d]) })
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
    use query::timeline::Page;

    #[test]
    fn a_cursor_goes_on_in_the_order_of_its_page() {
        for (page, next) in
            [(Page::Latest, Page::Before(7)), (Page::Before(9), Page::Before(7)), (Page::After(3), Page::After(7))]
        {
            let text = Cursor::after(page, 7).to_string();
            assert_eq!(text.parse::<Cursor>().expect("ours").page(), next);
        }
    }

    #[test]
    fn what_we_did_not_give_out_is_refused() {
        let ours = Cursor::after(Page::Latest, 7).to_string();
        let forged = (0..ours.len()).map(|at| {
            let other = if ours.as_bytes()[at] == b'B' { "C" } else { "B" };
            format!("{}{other}{}", &ours[..at], &ours[at + 1..])
        });
        for text in forged.chain(["", "7", "AAAAAAc", "e30", &ours[1..], &format!("{ours}=")].map(ToOwned::to_owned)) {
            assert_eq!(text.parse::<Cursor>().map_err(|problem| problem.kind()), Err(Kind::InvalidCursor), "{text}");
        }
    }
}

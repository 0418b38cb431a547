//! Whom a text names: `@` and a username, where no word runs into the `@`.

use super::{AccountError, Accounts};
use events::{UserId, name::Username};
use futures_util::future::try_join_all;
use std::collections::BTreeSet;

/// More names in one text name nobody.
const MOST: usize = 32;

impl Accounts {
    /// The people whom a text names, each once, in the order of their first naming.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn named_in(&self, text: &str) -> Result<Vec<UserId>, AccountError> {
        let found = try_join_all(names(text).into_iter().map(|candidates| self.first_of(candidates))).await?;
        let mut seen = BTreeSet::new();
        Ok(found.into_iter().flatten().filter(|user_id| seen.insert(*user_id)).collect())
    }

    async fn first_of(&self, candidates: Vec<Username>) -> Result<Option<UserId>, AccountError> {
        for name in candidates {
            let Some(found) = self.0.credentials.find(&name.claim()).await? else { continue };
            // A claim is of all names that look alike; one of them is somebody's.
            let is_theirs = match self.0.credentials.open_names(&found.credential).await {
                Ok(named) => named.username == name.as_str(),
                Err(AccountError::BadCredentials) => false,
                Err(error) => return Err(error),
            };
            if is_theirs {
                return Ok(Some(found.credential.user_id));
            }
        }
        Ok(None)
    }
}

/// For each `@` what may be meant: the whole word, the word without the punctuation that ends it, and the word up to
/// what most names do not have.
fn names(text: &str) -> Vec<Vec<Username>> {
    let mut names = Vec::new();
    let mut before = None;
    for (at, character) in text.char_indices() {
        let begins = character == '@' && before.is_none_or(|before: char| !before.is_alphanumeric());
        before = Some(character);
        if !begins || names.len() == MOST {
            continue;
        }
        let word = text[at + 1..].split(char::is_whitespace).next().unwrap_or_default();
        let bare = word.trim_end_matches(|end: char| !end.is_alphanumeric());
        let mut candidates: Vec<Username> = Vec::new();
        let plain = word.split(|end: char| !end.is_alphanumeric() && !"._-".contains(end)).next().unwrap_or_default();
        let plain = plain.trim_end_matches(|end: char| !end.is_alphanumeric());
        for candidate in [word, bare, plain].into_iter().filter_map(|word| Username::parse(word).ok()) {
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
        if !candidates.is_empty() {
            names.push(candidates);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{MOST, names};

    #[test]
    fn a_name_follows_an_at_that_no_word_runs_into() {
        let named = |text: &str| -> Vec<Vec<String>> {
            let words =
                |names: Vec<events::name::Username>| names.iter().map(|name| name.as_str().to_owned()).collect();
            names(text).into_iter().map(words).collect()
        };
        assert_eq!(named("@bob, (@Eve) and a@mail.example"), [vec!["bob"], vec!["eve"]]);
        assert_eq!(named("hi @zoë.\n@名前です。"), [vec!["zoë.", "zoë"], vec!["名前です"]]);
        assert_eq!(named("@bob's @bob,@eve **@bob**x"), [vec!["bob's", "bob"], vec!["bob"], vec!["eve"], vec!["bob"]]);
        assert_eq!(named("@ @@ @a @admin nobody"), Vec::<Vec<String>>::new());
        assert_eq!(named(&"@bob ".repeat(MOST + 1)).len(), MOST);
    }
}

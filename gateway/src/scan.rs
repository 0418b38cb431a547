//! One look over a JSON text before it is given a meaning: what two parsers
//! could read in two ways is refused (RFC 7493, I-JSON).

use crate::problem::Problem;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::{collections::HashSet, fmt};

/// How deep arrays and objects may lie in each other.
const MAX_DEPTH: usize = 32;

/// What was found; kept aside, as a parser's error is a mere text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Depth,
    DuplicateKey,
    Nul,
}

/// Checks a JSON text: UTF-8 without lone surrogates, at most 32 deep, no key twice in an object, no NUL.
///
/// # Errors
/// 400 for what is not such a text; 422 for a NUL in it.
pub(crate) fn scan(json: &[u8]) -> Result<(), Problem> {
    let text = std::str::from_utf8(json).map_err(|_| Problem::malformed("the JSON is not UTF-8"))?;
    let mut found = None;
    let mut parser = serde_json::Deserializer::from_str(text);
    let parsed = Scan { depth: 0, found: &mut found }.deserialize(&mut parser).and_then(|()| parser.end());
    match (parsed, found) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(Fault::Depth)) => Err(Problem::malformed(format!("the JSON is deeper than {MAX_DEPTH}"))),
        (Err(_), Some(Fault::DuplicateKey)) => Err(Problem::malformed("the JSON has a key twice in one object")),
        (Err(error), Some(Fault::Nul)) => {
            let place = format!("line {} column {}", error.line(), error.column());
            Err(Problem::invalid("body", format!("has a NUL character at {place}")))
        }
        (Err(error), None) => Err(Problem::malformed(format!("not JSON: {error}"))),
    }
}

struct Scan<'a> {
    depth: usize,
    found: &'a mut Option<Fault>,
}

impl Scan<'_> {
    fn inner(&mut self) -> Scan<'_> {
        Scan { depth: self.depth + 1, found: self.found }
    }

    fn fail<E: Error>(&mut self, fault: Fault) -> E {
        *self.found = Some(fault);
        E::custom("refused")
    }

    fn deeper<E: Error>(&mut self) -> Result<(), E> {
        if self.depth < MAX_DEPTH { Ok(()) } else { Err(self.fail(Fault::Depth)) }
    }
}

impl<'de> DeserializeSeed<'de> for Scan<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scan<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        if text.contains('\0') { Err(self.fail(Fault::Nul)) } else { Ok(()) }
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.deeper()?;
        while items.next_element_seed(self.inner())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        self.deeper()?;
        let mut keys = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if !keys.insert(key) {
                return Err(self.fail(Fault::DuplicateKey));
            }
            entries.next_value_seed(self.inner())?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;

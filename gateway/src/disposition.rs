//! `Content-Disposition` (RFC 6266): the name that a client gives a file, and the
//! header that has a browser save one and never show it.

use events::text::{FileName, InvalidText};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What a file is called that nobody named.
const UNNAMED: &str = "attachment";

/// RFC 8187, section 3.2.1: what stands for itself beside letters and digits.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The name in a header, if there is one: `filename*` before `filename`, of a path the last part.
///
/// # Errors
/// When the name may not be.
pub(crate) fn file_name(header: Option<&str>) -> Result<FileName, InvalidText> {
    let parameters = header.map(parameters).unwrap_or_default();
    let find = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let extended = find("filename*").and_then(decoded);
    FileName::parse(extended.as_deref().or(find("filename")).unwrap_or(UNNAMED))
}

/// The header for a file of that name.
pub(crate) fn attachment(name: &str) -> String {
    format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(name, ENCODED))
}

/// What follows the disposition: names in lower case, values unquoted.
fn parameters(header: &str) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    let mut rest = header.split_once(';').map_or("", |(_, rest)| rest);
    while let Some((name, value)) = rest.split_once('=') {
        let value = value.trim_start();
        let (value, after) = if let Some(quoted) = value.strip_prefix('"') {
            unquoted(quoted)
        } else {
            let (value, after) = value.split_once(';').unwrap_or((value, ""));
            (value.trim_end().to_owned(), after)
        };
        let name = name.rsplit(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        parameters.push((name, value));
        rest = after;
    }
    parameters
}

/// What stands before the closing quote, and what after it.
fn unquoted(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return (value, characters.as_str()),
            // Some escape nothing, and write paths: only what must be escaped is taken for it.
            '\\' => match characters.as_str().chars().next() {
                Some(escaped @ ('"' | '\\')) => {
                    characters.next();
                    value.push(escaped);
                }
                Some(_) | None => value.push('\\'),
            },
            _ => value.push(character),
        }
    }
    (value, "")
}

/// RFC 8187: a character set, a language and the percent-encoded value.
fn decoded(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_, encoded) = rest.split_once('\'')?;
    let is_utf8 = charset.eq_ignore_ascii_case("utf-8");
    is_utf8.then(|| percent_decode_str(encoded).decode_utf8().ok()).flatten().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::{attachment, file_name};

    #[test]
    fn a_name_is_read_as_browsers_and_tools_write_it_and_never_leads_elsewhere() {
        for (header, name) in [
            (None, "attachment"),
            (Some("attachment"), "attachment"),
            (Some("attachment; filename=plain.txt"), "plain.txt"),
            (Some("attachment; FileName=\"with; and \\\"quotes\\\".txt\"; size=3"), "with; and \"quotes\".txt"),
            (Some("attachment; size=3; filename = \"spaced.txt\" "), "spaced.txt"),
            (Some("attachment; filename=\"ascii.jpg\"; filename*=UTF-8''Stra%C3%9Fe%20%E2%98%80.jpg"), "Straße ☀.jpg"),
            (Some("attachment; filename*=latin1''x; filename=fallback"), "fallback"),
            (Some("attachment; filename=\"../../etc/passwd\""), "passwd"),
            (Some("attachment; filename=\"C:\\Windows\\system.ini\""), "system.ini"),
            (Some("attachment; filename*=UTF-8''..%2F..%2Fetc%2Fshadow"), "shadow"),
        ] {
            assert_eq!(file_name(header).unwrap().as_str(), name, "{header:?}");
        }
        for header in [
            "attachment; filename=\"..\"",
            "attachment; filename=\"a/\"",
            "attachment; filename*=UTF-8''a%00b",
            "attachment; filename*=UTF-8''photo%E2%80%AEgpj.exe",
            "attachment; filename*=UTF-8''a%0D%0ASet-Cookie:x",
        ] {
            assert!(file_name(Some(header)).is_err(), "{header}");
        }
    }

    #[test]
    fn a_name_comes_back_as_it_was_and_breaks_no_header() {
        for name in ["plain.txt", "with; and \"quotes\".txt", "Straße ☀.jpg", "50%'s.txt"] {
            let header = attachment(name);
            assert!(header.is_ascii() && !header.contains(['"', '\r', '\n']), "{header}");
            assert_eq!(file_name(Some(&header)).unwrap().as_str(), name);
        }
    }
}

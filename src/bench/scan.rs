//! What a frame says, found by one pass over its bytes without taking it apart:
//! the bench must cost less than what it loads. Only for flat objects whose
//! texts are plain, as those of the bench are.

use super::options::SMALLEST_BODY;

/// The fields of a frame that the bench reads; empty where it has none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told<'a> {
    pub(super) kind: &'a [u8],
    pub(super) id: &'a [u8],
    pub(super) thread_id: &'a [u8],
    pub(super) number: &'a [u8],
    pub(super) key: &'a [u8],
    pub(super) sender_id: &'a [u8],
    pub(super) body: &'a [u8],
    pub(super) position: &'a [u8],
    pub(super) vector: &'a [u8],
    pub(super) user_id: &'a [u8],
    pub(super) online: &'a [u8],
}

/// What the bench writes into the body of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// When it was due, in microseconds since the bench began.
    pub(super) due: u64,
    /// How many messages its sender had sent before.
    pub(super) index: u32,
}

impl<'a> Told<'a> {
    /// Reads the fields up to the first one that is an object.
    pub(super) fn read(frame: &'a [u8]) -> Self {
        let mut told = Self::default();
        let mut rest = frame.strip_prefix(b"{").unwrap_or_default();
        while let Some((name, value, after)) = field(rest) {
            match name {
                b"type" => told.kind = value,
                b"id" => told.id = value,
                b"thread_id" => told.thread_id = value,
                b"number" => told.number = value,
                b"key" => told.key = value,
                b"sender_id" => told.sender_id = value,
                b"body" => told.body = value,
                b"position" => told.position = value,
                b"vector" => told.vector = value,
                b"user_id" => told.user_id = value,
                b"online" => told.online = value,
                _ => {}
            }
            rest = after;
        }
        told
    }
}

fn field(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let text = text.strip_prefix(b",").unwrap_or(text).strip_prefix(b"\"")?;
    let (name, text) = split(text, b'"')?;
    let text = text.strip_prefix(b":")?;
    let (value, rest) = match text.first()? {
        b'"' => split(&text[1..], b'"')?,
        // Of ids.
        b'[' => text.split_at(text.iter().position(|byte| *byte == b']')? + 1),
        b'{' => return None,
        _ => text.split_at(text.iter().position(|byte| matches!(byte, b',' | b'}'))?),
    };
    Some((name, value, rest))
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == at)?;
    Some((&text[..end], &text[end + 1..]))
}

pub(super) fn number(digits: &[u8]) -> Option<u64> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    (1..=19).contains(&digits.len()).then_some(())?;
    digits.iter().try_fold(0, |number, byte| Some(number * 10 + digit(byte)?))
}

/// A position as its partition and sequence.
pub(super) fn position(text: &[u8]) -> Option<(usize, u64)> {
    let (partition, sequence) = split(text, b':')?;
    Some((usize::try_from(number(partition)?).ok()?, number(sequence)?))
}

impl Stamp {
    /// Writes it, and fills up to the length of a body.
    pub(super) fn write(self, body: usize, out: &mut Vec<u8>) {
        let end = out.len() + body;
        hex(self.due, 12, out);
        hex(u64::from(self.index), 8, out);
        out.resize(end, b'x');
    }

    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let (due, index) = body.get(..usize::from(SMALLEST_BODY))?.split_at(12);
        Some(Self { due: unhex(due)?, index: u32::try_from(unhex(index)?).ok()? })
    }
}

fn hex(value: u64, digits: u32, out: &mut Vec<u8>) {
    let nibble = |place: u32| b"0123456789abcdef"[usize::from((value >> (4 * place)).to_le_bytes()[0] & 15)];
    out.extend((0..digits).rev().map(nibble));
}

fn unhex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, byte| {
        let nibble = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(nibble))
    })
}

#[cfg(test)]
mod tests {
    use super::{Stamp, Told, number, position};

    #[test]
    fn a_message_and_its_acknowledgement_are_read() {
        let message = br#"{"type":"message","thread_id":"t","number":17,"key":"k","sender_id":"s","body":"b b","reply_to":null,"mentions":["m","n"],"sent_at":"2026","position":"3:9"}"#;
        let told = Told::read(message);
        assert_eq!((told.kind, told.thread_id, told.number), (&b"message"[..], &b"t"[..], &b"17"[..]));
        assert_eq!((told.key, told.sender_id, told.body), (&b"k"[..], &b"s"[..], &b"b b"[..]));
        assert_eq!(position(told.position), Some((3, 9)));
        let ack = br#"{"type":"ack","id":5,"thread_id":"t","number":17,"key":"k","position":"3:9","sent_at":"2026"}"#;
        let told = Told::read(ack);
        assert_eq!((told.kind, number(told.id), number(told.number)), (&b"ack"[..], Some(5), Some(17)));
    }

    #[test]
    fn what_lies_deeper_ends_the_reading() {
        let error = br#"{"type":"error","id":5,"problem":{"type":"urn:herald:not-found"},"key":"k"}"#;
        assert_eq!(Told::read(error), Told { kind: b"error", id: b"5", ..Told::default() });
        for broken in [&b""[..], b"{", b"{}", b"{\"type", b"{\"type\":", b"{\"type\":\"ack", b"[1]", b"\xff"] {
            assert_eq!(Told::read(broken), Told::default());
        }
    }

    #[test]
    fn a_stamp_comes_back_out_of_a_body_of_its_length() {
        for stamp in [Stamp { due: 0, index: 0 }, Stamp { due: 281_474_976_710_655, index: u32::MAX }] {
            let mut body = b"before".to_vec();
            stamp.write(100, &mut body);
            assert_eq!(body.len(), 106);
            assert_eq!(Stamp::read(&body[6..]), Some(stamp));
        }
        assert_eq!(Stamp::read(b"too short"), None);
        assert_eq!(Stamp::read(b"somebody else wrote this"), None);
    }

    #[test]
    fn numbers_are_digits_that_fit() {
        assert_eq!(number(b"1234567890123456789"), Some(1_234_567_890_123_456_789));
        for wrong in [&b""[..], b"-1", b"1x", b"12345678901234567890"] {
            assert_eq!(number(wrong), None);
        }
    }
}

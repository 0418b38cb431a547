//! Why a socket ends: the codes of the contract, and a reason that fits into a
//! close frame.

/// The last words to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Close {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

/// Every code that a socket ends with, and what it means to a client.
pub(crate) const CODES: [(u16, &str); 12] = [
    (Close::NORMAL, "The person did nothing for as long as the operator allows: resume once they do something"),
    (Close::PROTOCOL, "What came was not WebSocket"),
    (Close::BINARY, "A binary message came; all frames are text"),
    (Close::NOT_UTF8, "A message was not UTF-8"),
    (Close::FLOOD, "Too many frames or requests"),
    (Close::TOO_LONG, "A message was longer than 256 KiB"),
    (Close::COME_BACK, "The node goes or is cut off: resume, anywhere, after the jitter that the reason states"),
    (Close::SLOW, "The client reads too slowly: it resumes without loss"),
    (Close::BAD_FRAME, "A frame was not of this document, or not in its place"),
    (Close::UNAUTHORIZED, "The token is missing, over or revoked"),
    (Close::NO_HELLO, "No hello came within 5 s"),
    (Close::TOO_MANY, "The same person opened more than 6 sockets on this node: the oldest ends"),
];

impl Close {
    pub(crate) const NORMAL: u16 = 1000;
    pub(crate) const PROTOCOL: u16 = 1002;
    pub(crate) const BINARY: u16 = 1003;
    pub(crate) const NOT_UTF8: u16 = 1007;
    pub(crate) const FLOOD: u16 = 1008;
    pub(crate) const TOO_LONG: u16 = 1009;
    pub(crate) const COME_BACK: u16 = 1012;
    pub(crate) const SLOW: u16 = 1013;
    pub(crate) const BAD_FRAME: u16 = 4400;
    pub(crate) const UNAUTHORIZED: u16 = 4401;
    pub(crate) const NO_HELLO: u16 = 4408;
    pub(crate) const TOO_MANY: u16 = 4409;

    /// A control frame carries 125 bytes, two of them for the code (RFC 6455, section 5.5).
    const REASON_BYTES: usize = 123;

    pub(crate) fn new(code: u16, reason: &str) -> Self {
        let end = reason.floor_char_boundary(Self::REASON_BYTES);
        Self { code, reason: reason[..end].to_owned() }
    }
}

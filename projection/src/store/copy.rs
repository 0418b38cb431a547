//! Rows in the binary format of COPY (manual of Postgres, COPY, "Binary Format"):
//! each field is its length, -1 for NULL, and its bytes, big-endian.

use events::Timestamp;
use uuid::Uuid;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const CHUNK: usize = 256 * 1024;
/// 2000-01-01, from which Postgres counts, in microseconds after 1970.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// Rows on their way into a table.
pub(super) struct Rows {
    bytes: Vec<u8>,
}

impl Rows {
    pub(super) fn new() -> Self {
        let mut bytes = Vec::with_capacity(CHUNK + 4096);
        bytes.extend_from_slice(SIGNATURE);
        // No flags, no header extension.
        bytes.extend_from_slice(&[0; 8]);
        Self { bytes }
    }

    pub(super) fn begin(&mut self, columns: i16) {
        self.bytes.extend_from_slice(&columns.to_be_bytes());
    }

    pub(super) fn bigint(&mut self, value: i64) {
        self.field(&value.to_be_bytes());
    }

    pub(super) fn integer(&mut self, value: Option<i32>) {
        match value {
            Some(value) => self.field(&value.to_be_bytes()),
            None => self.null(),
        }
    }

    pub(super) fn timestamp(&mut self, value: Timestamp) {
        self.bigint(value.timestamp_micros() - POSTGRES_EPOCH);
    }

    pub(super) fn uuid(&mut self, value: Uuid) {
        self.field(value.as_bytes());
    }

    pub(super) fn text(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.field(value.as_bytes()),
            None => self.null(),
        }
    }

    /// What there is to send, once it is worth sending.
    pub(super) fn full_chunk(&mut self) -> Option<Vec<u8>> {
        (self.bytes.len() >= CHUNK).then(|| std::mem::replace(&mut self.bytes, Vec::with_capacity(CHUNK + 4096)))
    }

    /// The rest, and the end.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&(-1_i16).to_be_bytes());
        self.bytes
    }

    fn field(&mut self, bytes: &[u8]) {
        let length = i32::try_from(bytes.len()).expect("a field is far smaller than 2 GiB");
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(bytes);
    }

    fn null(&mut self) {
        self.bytes.extend_from_slice(&(-1_i32).to_be_bytes());
    }
}

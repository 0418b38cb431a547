-- Made after the bulk of a rebuild: nothing that fills the view needs them.

-- Keys are UUIDv7, so this index grows at its right edge; thread and sender are compared in the row.
CREATE INDEX messages_key ON messages (key);
CREATE INDEX attachments_id ON attachments (attachment_id);
CREATE INDEX changes_notices ON changes (thread_id, number, sequence) WHERE notice;
CREATE INDEX changes_blocks ON changes (by_id) WHERE kind IN ('blocked', 'unblocked');

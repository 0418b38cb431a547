-- Made after the bulk of a rebuild: nothing that fills the view needs them.

CREATE INDEX memberships_thread ON memberships (thread_id);
CREATE INDEX pictures_attachment ON pictures (attachment_id);

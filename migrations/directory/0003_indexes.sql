-- Made after the bulk of a rebuild: nothing that fills the view needs them.

-- Not unique: names are claimed in the credentials bucket, and a view must not halt over what is decided elsewhere.
CREATE INDEX users_username ON users (username);
CREATE INDEX pictures_attachment ON pictures (attachment_id);

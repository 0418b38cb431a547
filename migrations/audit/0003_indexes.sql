-- Made after the bulk of a rebuild: nothing that fills the view needs them.

CREATE INDEX deeds_aggregate ON deeds (aggregate_id, at);
CREATE INDEX deeds_by ON deeds (by_id, at);
CREATE INDEX deeds_user ON deeds (user_id, at);
CREATE INDEX reports_waiting ON reports (at) WHERE resolved_at IS NULL;

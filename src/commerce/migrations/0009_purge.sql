-- Answers are kept for a day. They are written in the order of time, so that a summary of each
-- stretch of pages finds the old ones, at next to no cost for a transfer.
CREATE INDEX answer_created ON answer USING brin (created) WITH (autosummarize = on);

"""From picture files to batches: cards, folders, crops and the buffer of past fakes."""

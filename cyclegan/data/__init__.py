"""Data sets as batches: cards, folders, crops, and the buffer of past fakes."""

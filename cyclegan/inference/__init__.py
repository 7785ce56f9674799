"""From a checkpoint to translated pictures."""

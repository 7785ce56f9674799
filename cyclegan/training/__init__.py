"""Training loop and its parts; depends on the protocols, not on any method."""

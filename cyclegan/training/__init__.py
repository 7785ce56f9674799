"""The training loop and what it needs; knows the protocols, knows no method."""

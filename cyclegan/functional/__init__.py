"""Tensor → tensor mathematics: no state, no parameters."""

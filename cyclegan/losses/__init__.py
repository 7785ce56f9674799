"""Losses as functions of tensors that return a scalar."""

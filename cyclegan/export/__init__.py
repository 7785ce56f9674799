"""Graphs and releases for other programs, and weights from other projects."""

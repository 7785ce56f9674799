"""Translators × test pictures → tables and picture sheets."""

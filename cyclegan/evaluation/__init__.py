"""Evaluation of translators: tables, image grids, reports."""

"""Metrics of images, each defined in the docstring of its module, and a table of all of them."""

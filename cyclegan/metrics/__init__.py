"""Metrics of images, each defined in the docstring of its module, and the table of all of them."""

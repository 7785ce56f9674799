"""Numbers that compare pictures, each with its protocol in the docstring."""

"""A web page and an HTTP endpoint that translate one image at a time."""

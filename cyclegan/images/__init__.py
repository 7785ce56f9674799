"""Image files of any format, and tensors."""

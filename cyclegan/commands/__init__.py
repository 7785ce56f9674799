"""One file a sub-command: its arguments and what it does. PyTorch is imported only by those that compute."""

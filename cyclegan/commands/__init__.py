"""Sub-commands, one file each: arguments and action. PyTorch is imported only by those that compute."""

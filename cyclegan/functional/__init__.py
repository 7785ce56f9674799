"""Mathematics from tensors to tensors: no state, no parameters."""

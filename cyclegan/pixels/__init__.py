"""Pictures of any kind: 1, 3, 4 or N channels of 8, 16 or 32 bits; needs no PyTorch."""

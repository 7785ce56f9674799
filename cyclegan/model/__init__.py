"""Loading of trained models, and translation with them."""

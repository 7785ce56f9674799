"""Plain modules: numbers in, no settings objects."""

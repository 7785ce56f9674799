"""Plain modules: numbers in, no settings objects; these stand apart, in settings.py."""

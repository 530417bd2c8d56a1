"""One view a module."""

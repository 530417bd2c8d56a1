"""Settings: their schema, where they come from, and how a file of them is changed without losing its comments."""

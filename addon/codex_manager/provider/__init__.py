"""Asks OpenAI about an account itself: whether its key is good, what it has spent. Never carries a client's request."""

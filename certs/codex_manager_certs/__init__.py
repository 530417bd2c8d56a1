"""Whom we trust on the way to the upstream."""

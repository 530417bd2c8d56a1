"""Certificates: our own authority for clients of the forward proxy, and whom we trust on the way to the upstream."""

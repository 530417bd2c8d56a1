"""Secrets at rest: the master key, the cryptography, and the encrypted store of accounts."""

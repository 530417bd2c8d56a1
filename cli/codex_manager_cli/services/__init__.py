"""The service managers of three systems, each behind the same five verbs."""

"""Lint: what in a message gets it refused, filtered, or its sender fined."""

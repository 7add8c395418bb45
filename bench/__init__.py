"""Ekiden beside other mailers, on one machine and against one sink; see bench/README.md."""

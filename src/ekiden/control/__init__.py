"""How commands reach a running daemon: one Unix socket, one message format."""

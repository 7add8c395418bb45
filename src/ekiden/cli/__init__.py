"""Commands; thin: read arguments, ask the daemon or the store, print."""

"""Templates and merge data to bytes. Pure."""

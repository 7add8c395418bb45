"""Files in, files out: formats (pure) and intake."""

"""Files in, files out: formats (pure), intake, submission and reports."""

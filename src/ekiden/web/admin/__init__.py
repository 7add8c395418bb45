"""The admin part: the API, its document, metrics, and the dashboard; on a listener of its own."""

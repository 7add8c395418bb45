"""The event log, webhooks and metrics."""

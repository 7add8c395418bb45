"""HTTP: unsubscribe, preferences, tracking, admin API, dashboard."""

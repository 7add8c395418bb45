"""HTTP: unsubscribe, preferences, tracking, sign-up, admin API, dashboard."""

"""Jobs and deliveries: states, named transitions, claims."""

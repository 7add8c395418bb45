"""DNS and identity checks of the sender."""

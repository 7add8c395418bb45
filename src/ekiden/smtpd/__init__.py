"""What every SMTP server of ours stands on: the hardened wire."""

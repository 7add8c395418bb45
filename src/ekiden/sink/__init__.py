"""A mailbox simulator: the local receiver for demo, staging and tests."""

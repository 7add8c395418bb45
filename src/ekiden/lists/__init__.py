"""Contacts, topics, consent and suppression."""

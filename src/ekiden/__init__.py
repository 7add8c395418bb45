"""Ekiden (駅伝): a self-hosted, asynchronous SMTP delivery engine."""

__version__ = "0.1.0"

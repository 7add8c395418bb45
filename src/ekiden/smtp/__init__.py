"""The wire, sans-IO: replies, transactions, outcomes. No sockets, no clock (the model is h11)."""

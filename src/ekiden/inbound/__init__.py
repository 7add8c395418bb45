"""Mail that comes back: who may send it here, what it means, and what is written for it."""

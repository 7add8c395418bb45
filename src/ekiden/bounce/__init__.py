"""What a reply or a bounce mail means, and what follows from it. Pure."""

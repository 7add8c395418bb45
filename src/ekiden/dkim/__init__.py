"""Keys, canonical form, signatures (RFC 6376, RFC 8463). Pure."""

"""Stored templates: named, versioned, pinned by the jobs that use them."""

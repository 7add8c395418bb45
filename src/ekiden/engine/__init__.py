"""Who is served next (pure), and the sockets that serve them."""

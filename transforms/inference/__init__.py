"""Models behind one interface: requests in, responses out, a cache between."""

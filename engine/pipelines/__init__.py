"""One generator of network calls per kind of request; they never import each other."""

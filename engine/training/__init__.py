"""Training of the pack: pictures with captions in, small networks and their cards out."""

"""Walks in a generator's latent space, and ways into it: mathematics, no files, no weights."""

"""Stretches of work that several pipelines have in common."""

"""Atelier's bot process: faces, studio, prompts and storage; never imports torch."""

"""Models: what there is (catalogue), what is loaded (shelf), what they need (families)."""

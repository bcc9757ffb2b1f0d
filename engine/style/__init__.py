"""Style transfer's mathematics: losses, statistics, optimisers; no files and no weights."""

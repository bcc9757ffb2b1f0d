"""Our own networks: pure modules built from a configuration, one paper a file."""

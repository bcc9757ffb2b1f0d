"""The engine: owns the device, runs the pipelines. Callers import `engine.api` alone."""

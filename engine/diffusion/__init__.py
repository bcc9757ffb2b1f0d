"""The mathematics of diffusion: no files, no weights, no pictures."""

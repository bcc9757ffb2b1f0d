"""Pictures in and out: untrusted uploads, PNG with its parameters, grids, thumbnails, previews.

Pillow and NumPy only. `decoder` runs in a process of its own and imports nothing of this project.
"""

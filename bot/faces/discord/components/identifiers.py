"""The parts of custom_ids: they are untrusted, so they are matched strictly."""

JOB = r"(?P<job>[0-9a-z]{8,12})"
IMAGE = r"(?P<image>[0-9a-z]{8,12})"

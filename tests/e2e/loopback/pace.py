"""How patient tests are; LOOPBACK_SLOWNESS=5 makes all limits five times as long.

For machines that are busy with other things. On a free one the limits are Discord's own.
"""

import os

SLOWNESS = float(os.environ.get("LOOPBACK_SLOWNESS", "1"))


def paced(seconds: float) -> float:
    """A limit of time as it holds on this machine."""
    return seconds * SLOWNESS

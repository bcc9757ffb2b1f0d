"""The `atelier` command, also as `python -m bot`."""

import codecs
import io
import sys

from bot import app
from bot.faces.console.main import commands


def main() -> None:
    """Run the command line on the real application."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and codecs.lookup(stream.encoding).name != "utf-8":
            stream.reconfigure(errors="replace")  # a prompt may be in any script
    commands(obj=app)


if __name__ == "__main__":
    main()

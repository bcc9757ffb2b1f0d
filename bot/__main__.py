"""The `atelier` command, also as `python -m bot`."""

import codecs
import io
import sys

INTERRUPTED = 130  # as shells count it


def main() -> None:
    """Run the command line on the real application."""
    try:  # to import all this takes so long that somebody may think better of it
        from bot import app
        from bot.faces.console.main import commands
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and codecs.lookup(stream.encoding).name != "utf-8":
            stream.reconfigure(errors="replace")  # a prompt may be in any script
    commands(obj=app)


if __name__ == "__main__":
    main()

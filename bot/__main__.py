"""The `atelier` command, also as `python -m bot`."""

from bot import app
from bot.faces.console.main import commands


def main() -> None:
    """Run the command line on the real application."""
    commands(obj=app)


if __name__ == "__main__":
    main()

"""The one error of the prompt grammar."""

from bot.errors import UserError


class PromptError(UserError):
    """A text that can't be read: where, why, and what to write instead."""

    def __init__(self, position: int, length: int, reason: str, suggestion: str = "") -> None:
        """Take the place as a character offset into the typed text, 0-based, and a length."""
        super().__init__(position, length, reason, suggestion)
        self.position = position
        self.length = length
        self.reason = reason
        self.suggestion = suggestion

    def __str__(self) -> str:
        cure = f" {self.suggestion}" if self.suggestion else ""
        return f"At character {self.position + 1}: {self.reason}.{cure}"

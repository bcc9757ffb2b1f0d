"""The one error of the prompt grammar."""

from bot.errors import UserError
from bot.wording import Said, said


class PromptError(UserError):
    """A text that can't be read: where, why, and what to write instead."""

    def __init__(self, position: int, length: int, reason: str, suggestion: str = "") -> None:
        """Take the place as a character offset into the typed text, 0-based, and a length."""
        super().__init__(position, length, reason, suggestion)
        self.position = position
        self.length = length
        self.reason = reason
        self.suggestion = suggestion

    @property
    def text(self) -> str:
        """Place, reason and cure."""
        place = self.position + 1
        if not self.suggestion:
            return Said("At character {place}: {reason}.", place=place, reason=said(self.reason))
        return Said(
            "At character {place}: {reason}. {cure}",
            place=place,
            reason=said(self.reason),
            cure=said(self.suggestion),
        )

    def __str__(self) -> str:
        return str(self.text)

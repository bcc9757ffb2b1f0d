"""What members and operators did wrong, or what stands in their way.

    UserError
    ├── PromptError          (bot.prompts) a position, a reason and a suggestion
    ├── NotFound             no such job, image or name (or not theirs to see)
    ├── NotAllowed           somebody else's, or forbidden here
    ├── LimitReached         a value or a size that is beyond what can be made
    │   ├── NameTaken        what has that name would be lost, or mean something else
    │   ├── OutOfRange       the same, of a field that it names
    │   └── TooManyWaiting   a cap on waiting jobs: later
    ├── ConfirmationNeeded   many jobs at once: ask first
    ├── AskedBefore          jobs of this request's key are there
    ├── UnusablePicture      an upload that can't be read
    ├── StorageUnavailable   database or disk: nothing was lost, try again
    └── BadConfiguration     for operators: which setting, what is wrong, how to mend it

`str(error)` is fit for a member and says what to change. Each passes exactly its own arguments to
`super().__init__`, so that it survives pickling.
"""

from bot.wording import Said, said


class UserError(Exception):
    """The one who asked can do something about it."""

    @property
    def text(self) -> str:
        """What to change; a `bot.wording.Said` where it holds values."""
        return str(self) if not self.args or not isinstance(self.args[0], str) else self.args[0]


class NotFound(UserError):
    """There is no such thing, or it is not theirs to see; the two are told apart to nobody."""


class NotAllowed(UserError):
    """It is somebody else's, or this place forbids it."""


class LimitReached(UserError):
    """A value, a size or a number is beyond what can be made here."""


class NameTaken(LimitReached):
    """Something has that name, and would be lost or be meant no more."""


class OutOfRange(LimitReached):
    """The engine refuses the value of a field."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    @property
    def text(self) -> str:
        """The field and what is wrong with it."""
        return Said("{field} {reason}", field=said(self.field), reason=said(self.reason))

    def __str__(self) -> str:
        return str(self.text)


class TooManyWaiting(LimitReached):
    """A cap on waiting jobs is reached; asking again later will do."""


class ConfirmationNeeded(UserError):
    """The prompt expands to many jobs; ask the member first, then call again with `confirmed`."""

    def __init__(self, count: int, is_private: bool = False) -> None:  # noqa: FBT001, FBT002
        super().__init__(count, is_private)
        self.count = count
        self.is_private = is_private  # of one of them others shall not see even the prompt

    @property
    def text(self) -> str:
        """How many there would be."""
        return Said("this prompt makes {count} jobs; confirm to start them all", count=self.count)

    def __str__(self) -> str:
        return str(self.text)


class AskedBefore(UserError):
    """The same request, by its key, has made its jobs already."""


class UnusablePicture(UserError):
    """The upload is no picture that can be used; says why."""


class StorageUnavailable(UserError):
    """Database or disk does not answer now."""


class BadConfiguration(UserError):
    """A setting has a value that can't work."""

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(setting, reason)
        self.setting = setting
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.setting}: {self.reason}"

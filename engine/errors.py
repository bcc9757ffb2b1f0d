"""Everything the engine can refuse or fail at.

    EngineError
    ├── InvalidRequest       change the request
    │   └── UnreadableImage  send another picture
    ├── UnknownModel         choose another model
    ├── ModelUnavailable     the operator must mend the model's files
    ├── UnsafeCheckpoint     a pickle or remote code: convert to safetensors
    ├── BadCatalogue         the operator must mend a catalogue file
    ├── Unsupported          this model or engine can't do that kind of request
    ├── OutOfMemory          ask for fewer or smaller images
    ├── NotANumber           the network overflowed: other sampler, guidance or precision
    ├── Defect               the engine made a mistake: its log says which
    └── WorkerDied           ask again

`error.text` is for a member: what to change, never a path or a trace. `str(error)` is for the
operator; the two differ where only the operator can mend something.

Errors cross a process boundary, so each passes exactly its own arguments to
`super().__init__` (that is what pickle calls the class with again).
"""

from typing import ClassVar

from engine.wording import Said, said


class EngineError(Exception):
    """The engine could not do what was asked."""

    retryable: ClassVar[bool] = False

    @property
    def text(self) -> Said:
        """What went wrong and what to change, in words that remember how they were made."""
        return said(self.args[0] if self.args and isinstance(self.args[0], str) else str(self))


class InvalidRequest(EngineError):
    """A field of the request has a value the engine does not accept."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    @property
    def text(self) -> Said:
        """The field and what is wrong with it."""
        return Said("{field} {reason}", field=said(self.field), reason=said(self.reason))

    def __str__(self) -> str:
        return str(self.text)


class UnreadableImage(InvalidRequest):
    """The bytes are no picture the engine reads, or are too large in some way."""


class UnknownModel(EngineError):
    """No model of that name is in the catalogue."""

    def __init__(self, name: str, suggestion: str = "") -> None:
        super().__init__(name, suggestion)
        self.name = name
        self.suggestion = suggestion

    @property
    def text(self) -> Said:
        """The name, and the nearest one that there is."""
        unknown = Said("there is no model called {name}", name=self.name)
        if not self.suggestion:
            return unknown
        return Said("{unknown}; did you mean {near}?", unknown=unknown, near=self.suggestion)

    def __str__(self) -> str:
        return str(self.text)


NEVER_CHOSEN = frozenset({"style", "vgg19"})  # networks that members don't know by name


class ModelUnavailable(EngineError):
    """The model is in the catalogue, but its files are missing, broken or of another family.

    `reason` is a diagnosis for the operator, who mends the files; it may name them.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    @property
    def text(self) -> Said:
        """What a member can do about it."""
        if self.name in NEVER_CHOSEN:
            return Said(
                "this way of restyling can't be used until the operator mends it, as the log says: "
                "choose another method"
            )
        template = "{name} can't be loaded here: choose another one; the operator's log says why"
        return Said(template, name=self.name)

    def __str__(self) -> str:
        return f"the model {self.name} can't be loaded: {self.reason}"


class UnsafeCheckpoint(ModelUnavailable):
    """The file would run code when loaded (a pickle, or a repository with its own code)."""


class BadCatalogue(EngineError):
    """A file that lists models is wrong: which file, which entry, and why."""

    def __init__(self, file: str, entry: str, reason: str) -> None:
        super().__init__(file, entry, reason)
        self.file = file
        self.entry = entry
        self.reason = reason

    @property
    def text(self) -> Said:
        """The place and what is wrong there."""
        return said(str(self))

    def __str__(self) -> str:
        return f"{self.file}: {self.entry}: {self.reason}"


class Unsupported(EngineError):
    """The model or this engine has no means for that request."""


class OutOfMemory(EngineError):
    """The device has too little memory for this request, even alone."""


class NotANumber(EngineError):
    """A network answered with NaN or infinity."""


class Defect(EngineError):
    """An error that nobody foresaw: its class, and what it said."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail

    @property
    def text(self) -> Said:
        """What a member can do about it."""
        return Said("the engine made a mistake; ask for another thing: the operator's log says why")

    def __str__(self) -> str:
        return f"the engine failed with {self.kind}: {self.detail}"


class WorkerDied(EngineError):
    """The process that owns the device ended before the job did."""

    retryable = True

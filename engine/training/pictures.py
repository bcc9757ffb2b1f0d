"""Sets of captioned pictures: any folder or tar archive that holds a `captions.tsv`.

The first column is `file`, a path beside the table; the others are free, and those that this
project knows (name, keywords, style, split, group, category, colour) steer how a picture is used.
A table without any of style, group, category and artist holds whole pictures, each with its
caption in the column name, title or caption.
"""

import csv
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PIL import Image, ImageOps

from engine.media.decoder import eight_bit

STEERING = frozenset({"style", "group", "category", "artist"})  # columns of this project's sets
HELD_OUT_EVERY = 10  # where no table names a split


# What Pillow raises for broken files; of AVIF RuntimeError, of some TIFF TypeError.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    RuntimeError,
    Image.DecompressionBombError,
)


class BrokenSet(Exception):
    """A set of pictures can't be read."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class NoPictures(Exception):
    """There is no captions.tsv where training pictures were expected."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.folder = folder

    def __str__(self) -> str:
        return (
            f"No captions.tsv in {self.folder}, its folders or its tar archives. Put one beside "
            "the pictures: tab-separated, with the columns file and name."
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """One row of a `captions.tsv` and the set that holds its file."""

    source: "Source"
    file: str
    columns: dict[str, str]

    @property
    def name(self) -> str:
        """What the picture shows, by its `name`, `title` or `caption` column."""
        row = self.columns
        return (row.get("name") or row.get("title") or row.get("caption") or "").strip()

    @property
    def split(self) -> str:
        """`train` unless the table says otherwise."""
        return self.columns.get("split") or "train"

    @property
    def is_whole(self) -> bool:
        """It is learnt from as it is, with its caption, rather than cut out and composed."""
        return bool(self.name) and not STEERING & self.columns.keys()

    def open(self) -> Image.Image:
        """Read and decode the file.

        Raises:
            BrokenSet: it is missing or no picture.
        """
        where = f"{self.source.name}/{self.file}"
        try:
            with Image.open(io.BytesIO(self.source.read(self.file))) as image:
                return eight_bit(ImageOps.exif_transpose(image))  # as it was held, like an upload
        except KeyError as error:
            raise BrokenSet(where, "is named in captions.tsv, but not in the archive") from error
        except FileNotFoundError as error:
            raise BrokenSet(where, "is named in captions.tsv, but is not there") from error
        except UNREADABLE as error:
            raise BrokenSet(
                where,
                "is no readable picture; mend it, or take its row out of captions.tsv",
            ) from error


class Source(Protocol):
    """Where the files of one `captions.tsv` lie."""

    @property
    def name(self) -> str:
        """Short name of the set, `emoji` for emoji.tar."""
        ...

    def read(self, file: str) -> bytes:
        """The bytes of one file of the set."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with captions.tsv."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    def read(self, file: str) -> bytes:
        """The bytes of one file of the set."""
        return (self.path / file).read_bytes()


class Archive:
    """An uncompressed tar with captions.tsv at its top or in its one folder."""

    def __init__(self, path: Path) -> None:
        """Raises: BrokenSet where it is damaged."""
        self.path = path
        try:
            with tarfile.open(path, "r:") as tar:
                self._places = {
                    member.name.removeprefix("./"): (member.offset_data, member.size)
                    for member in tar.getmembers()
                    if member.isfile()
                }
        except tarfile.TarError as error:
            raise BrokenSet(str(path), f"is no uncompressed tar archive ({error})") from error
        tables = [name for name in self._places if Path(name).name == "captions.tsv"]
        self._prefix = tables[0].removesuffix("captions.tsv") if tables else ""
        self.has_captions = bool(tables)

    @property
    def name(self) -> str:
        """The archive's name without .tar."""
        return self.path.stem

    def read(self, file: str) -> bytes:
        """The bytes of one file of the set."""
        offset, size = self._places[self._prefix + file]
        with self.path.open("rb") as archive:
            archive.seek(offset)
            return archive.read(size)


def read_pictures(folder: Path) -> list[Picture]:
    """List every picture of a folder, its direct folders and its tar archives, in stable order.

    A set that is present both as folder and as archive is read once, from the folder.

    Raises:
        NoPictures: no captions.tsv was found.
        BrokenSet: a table or an archive can't be read.
    """
    if not folder.is_dir():
        raise NoPictures(str(folder))
    sources: dict[str, Source] = {}
    for path in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        if (path / "captions.tsv").is_file():
            sources[path.name] = Folder(path)
    for path in sorted(folder.glob("*.tar")):
        if path.stem not in sources and (archive := Archive(path)).has_captions:
            sources[path.stem] = archive
    if not sources:
        raise NoPictures(str(folder))
    return [picture for source in sources.values() for picture in _rows(source)]


def _rows(source: Source) -> Iterator[Picture]:
    where = f"{source.name}/captions.tsv"
    try:
        text = source.read("captions.tsv").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BrokenSet(where, f"is not UTF-8 ({error})") from error
    except OSError as error:
        raise BrokenSet(where, f"can't be read ({error.strerror})") from error
    table = io.StringIO(text, newline=None)  # any line ends
    reader = csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise BrokenSet(f"{where}, line {reader.line_num + 1}", str(error)) from error
    if "file" not in (reader.fieldnames or ()):
        raise BrokenSet(where, "has no column file; its columns are parted by tabs")
    for row in rows:
        columns = {key: value or "" for key, value in row.items() if key is not None}
        yield Picture(source, columns["file"], columns)


def held_out_apart(pictures: list[Picture], split: str) -> list[Picture]:
    """Those of a split; where no row is for validation, every tenth stands in for it."""
    if any(picture.split == "validation" for picture in pictures):
        return [picture for picture in pictures if picture.split == split]
    is_held_out = split == "validation"
    return [
        picture
        for number, picture in enumerate(pictures)
        if (number % HELD_OUT_EVERY == HELD_OUT_EVERY // 2) == is_held_out
    ]

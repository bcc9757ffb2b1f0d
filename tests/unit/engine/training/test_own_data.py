"""Folders of a community's own: captions instead of looks, and tables that are broken."""

import tarfile

import numpy as np
import pytest
from PIL import Image

from engine.training import store
from engine.training.__main__ import main
from engine.training.enlarge import large_pictures
from engine.training.pictures import BrokenSet, NoPictures, read_pictures
from engine.training.scenes import SceneMaker
from engine.training.store import claim, origin_of, read_captions, whole_shards, write_scenes
from engine.training.subjects import SubjectLibrary, read_nouns

CAPTIONS = [f"the harbour of our town, number {number}" for number in range(12)]


def picture(number, side=160):
    values = np.random.default_rng(number).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(values).resize((side, side - 40), Image.Resampling.BICUBIC)


@pytest.fixture
def captioned(tmp_path):
    return captioned_folder(tmp_path)


def captioned_folder(tmp_path):
    """Pictures with captions, and nothing else said of them."""
    folder = tmp_path / "town"
    folder.mkdir()
    rows = ["file\tcaption"]
    for number, caption in enumerate(CAPTIONS):
        picture(number).save(folder / f"{number}.png")
        rows.append(f"{number}.png\t{caption}")
    (folder / "captions.tsv").write_text("\n".join(rows) + "\n")
    return folder


def test_pictures_with_captions_alone_are_learnt_from_as_they_are(captioned, tmp_path):
    write_scenes(captioned, tmp_path / "store", [0, 3], seed=1, count=16)
    assert set(read_captions(tmp_path / "store", 0)) <= set(CAPTIONS)
    pixels = np.load(tmp_path / "store" / "scenes_00003.npy")
    assert pixels.shape == (16, 96, 144, 3)
    assert pixels.std() > 20


def test_drawings_whose_names_nobody_knows_are_composed_too(tmp_path):
    picture(1).save(tmp_path / "gizmo.png")
    (tmp_path / "captions.tsv").write_text("file\tname\tstyle\ngizmo.png\tgizmo\tcartoon\n")
    maker = SceneMaker(SubjectLibrary.read(tmp_path), read_nouns(), [], 64, 64)
    scenes = [maker.make(np.random.default_rng(seed)) for seed in range(8)]
    assert any("gizmo" in scene.caption for scene in scenes)


@pytest.mark.parametrize("rows", ["", "\n", "file\tname\n", "file\tname\tstyle\na.png\tcat\tink\n"])
def test_a_table_that_names_nothing_to_learn_from_is_told(tmp_path, rows):
    (tmp_path / "captions.tsv").write_text(rows or "file\n")
    with pytest.raises(BrokenSet, match=r"no picture to learn from|no column file"):
        write_scenes(tmp_path, tmp_path / "store", [0], seed=1, count=4)


def test_without_a_validation_split_every_tenth_picture_is_held_out(captioned):
    trained = large_pictures(captioned, 40, seed=1)
    held_out = large_pictures(captioned, 40, seed=1, split="validation")
    assert trained.shape == (40, 256, 256, 3)

    def kinds(pictures):
        return len({one[::64, ::64].tobytes() for one in pictures})

    assert kinds(held_out) > 1, "crops differ"
    means = {tuple(one.reshape(-1, 3).mean(0).round(-1)) for one in held_out}
    assert len(means) <= 6, "of one picture"
    assert not means & {tuple(one.reshape(-1, 3).mean(0).round(-1)) for one in trained}


def test_a_table_of_a_spreadsheet_is_read(captioned):
    table = captioned / "captions.tsv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    assert [one.name for one in read_pictures(captioned)] == CAPTIONS


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (b"name\tstyle\ncat\t3d\n", "has no column file"),
        ("file\tname\ncaf\xe9.png\tcaf\xe9\n".encode("latin-1"), "is not UTF-8"),
        (b"file\tname\na.png\tcat\nb.png\t" + b"x" * 200_000, r"captions\.tsv, line 3: "),
        (b"file\t" + b"x" * 200_000, r"captions\.tsv, line 1: "),
    ],
)
def test_a_table_that_can_not_be_read_says_why(tmp_path, table, reason):
    (tmp_path / "captions.tsv").write_bytes(table)
    with pytest.raises(BrokenSet, match=reason):
        read_pictures(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "is not there"), (b"no picture", "no readable picture")]
)
def test_a_file_that_is_missing_or_broken_is_named(tmp_path, content, reason):
    (tmp_path / "captions.tsv").write_text("file\tname\ncat.png\tcat\n")
    if content is not None:
        (tmp_path / "cat.png").write_bytes(content)
    [row] = read_pictures(tmp_path)
    with pytest.raises(BrokenSet, match=rf"cat\.png: .*{reason}"):
        row.open()


def test_sixteen_bits_of_grey_are_not_all_white(tmp_path):
    (tmp_path / "captions.tsv").write_text("file\tname\nmoon.png\tmoon\n")
    Image.fromarray(np.full((8, 8), 0x4321, np.uint16)).save(tmp_path / "moon.png")
    [row] = read_pictures(tmp_path)
    assert row.open().convert("RGB").getpixel((0, 0)) == (0x43,) * 3


def test_damaged_archives_and_files_that_they_lack_are_named(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(BrokenSet, match=r"a\.tar"):
        read_pictures(tmp_path)
    (tmp_path / "captions.tsv").write_text("file\tname\ncat.png\tcat\n")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "captions.tsv", "captions.tsv")
    (tmp_path / "captions.tsv").unlink()
    [row] = read_pictures(tmp_path)
    with pytest.raises(BrokenSet, match="not in the archive"):
        row.open()


def test_what_is_no_folder_holds_no_pictures(tmp_path):
    for path in (tmp_path / "nowhere", tmp_path / "file"):
        (tmp_path / "file").write_text("")
        with pytest.raises(NoPictures, match="captions"):
            read_pictures(path)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--seed", "-1"], "from 0 on"),
        (["--device", "abacus"], "must be cpu"),
        (["--out", "/proc/nowhere"], "--out"),
    ],
)
def test_arguments_that_can_not_be_are_refused_with_a_cure(tmp_path, capsys, arguments, reason):
    usual = ["upscaler", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        main([*usual, *arguments])
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def test_a_store_keeps_what_was_made_of_the_same_and_nothing_else(tmp_path):
    claim(tmp_path, ("scenes", "latents"), {"seed": 1})
    (tmp_path / "scenes_00000.txt").write_text("a cat\n")
    (tmp_path / "latents_00000.npy").write_bytes(b"")
    claim(tmp_path, ("scenes", "latents"), {"seed": 1})
    assert whole_shards(tmp_path) == [0]
    claim(tmp_path, ("scenes", "latents"), {"seed": 2})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scenes.json"]
    assert origin_of(tmp_path, "scenes") == {"seed": 2}


def test_a_store_that_does_not_say_what_it_was_made_of_is_made_anew(tmp_path):
    (tmp_path / "scenes_00000.txt").write_text("a cat\n")
    claim(tmp_path, ("scenes",), {"seed": 1})
    assert whole_shards(tmp_path) == []


@pytest.mark.parametrize("end", [b"\r", b"\r\n"])
def test_any_line_ends_are_read(captioned, end):
    table = captioned / "captions.tsv"
    table.write_bytes(table.read_bytes().replace(b"\n", end))
    assert [one.name for one in read_pictures(captioned)] == CAPTIONS


def test_pictures_are_learnt_as_they_were_held(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (200, 100)).save(tmp_path / "phone.jpg", exif=exif)
    (tmp_path / "captions.tsv").write_text("file\tname\nphone.jpg\ta phone\n")
    [found] = read_pictures(tmp_path)
    assert found.open().size == (100, 200)


def test_paintings_that_are_held_out_are_not_learnt(captioned, tmp_path, monkeypatch):
    paintings = captioned / "paintings"
    paintings.mkdir()
    rows = ["file\tname\tartist\tsplit"]
    for name, colour, split in (("Red", "red", "train"), ("Blue", "blue", "validation")):
        Image.new("RGB", (160, 160), colour).save(paintings / f"{name}.png")
        rows.append(f"{name}.png\t{name}\tX\t{split}")
    (paintings / "captions.tsv").write_text("\n".join(rows) + "\n")
    taken = set()

    def maker(library, nouns, paintings, *size, wholes):
        taken.update(one.name for one in paintings)
        return SceneMaker(library, nouns, paintings, *size, wholes=wholes)

    monkeypatch.setattr(store, "SceneMaker", maker)
    write_scenes(captioned, tmp_path / "store", [0], seed=1, count=4)
    assert taken == {"Red"}


def test_what_the_upscaler_lacks_is_said_before_anything_is_trained(tmp_path, capsys):
    picture(1).save(tmp_path / "one.png")
    (tmp_path / "captions.tsv").write_text("file\tname\none.png\ta town\n")
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        (teacher / name).touch()
    arguments = ["pack", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    arguments += ["--images", "64", "--teacher", str(teacher), "--pack", str(tmp_path / "pack")]
    assert main(arguments) == 2
    assert "ten or more" in capsys.readouterr().err
    assert not (tmp_path / "run" / "vae").exists()

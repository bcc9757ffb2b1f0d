"""The whole pack from nothing by one command, at a budget of a few pictures."""

import json

import pytest
import torch
from PIL import Image, ImageDraw
from transformers import BertConfig, BertModel

from engine.models.families.pack import read_networks
from engine.training import programs
from engine.training.__main__ import main

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz", "cat", "dog", "red"]
PIECES += [f"##{a}{b}" for a in "abcdefghijkl" for b in "abcdefghijkl"]


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    rows = ["file\tname\tkeywords\tstyle\tvendor\tsplit"]
    for index, name in enumerate(("cat", "dog", "rose", "fish")):
        image = Image.new("RGBA", (128, 128))
        ImageDraw.Draw(image).ellipse((16, 16, 112, 112), fill=(200, 60 * index, 40, 255))
        image.save(folder / f"{name}.png")
        split = "validation" if name == "fish" else "train"
        rows.append(f"{name}.png\t{name}\tanimal\t3d\tours\t{split}")
    (folder / "captions.tsv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def teacher(tmp_path):
    """A sentence encoder that knows nothing, in the layout of a real one."""
    folder = tmp_path / "teacher"
    config = BertConfig(
        vocab_size=len(PIECES), hidden_size=384, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_one_command_trains_a_pack_that_loads(data, teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "sheet_prompts", lambda: ["cat"])
    torch.set_num_threads(1)
    out, pack = tmp_path / "out", tmp_path / "pack"
    arguments = ["pack", "--data", str(data), "--out", str(out), "--pack", str(pack)]
    arguments += ["--teacher", str(teacher), "--images", "100", "--scenes", "70", "--seed", "3"]
    assert main(arguments) == 0
    assert all(path.stat().st_size <= 16_000_000 for path in pack.iterdir())
    assert json.loads((out / "denoiser" / "progress.json").read_text())["seed"] == 3
    (pack / "lexicon_zh.tsv").write_text("chinese\tenglish\n")
    networks = read_networks(pack)
    assert networks.tokenizer.pieces("red cat") == ["red", "cat"]
    assert (out / "denoiser" / "loss.png").exists()


def test_the_text_encoder_needs_a_teacher(data, tmp_path, capsys):
    assert main(["text", "--data", str(data), "--out", str(tmp_path / "out")]) == 2
    assert "--teacher" in capsys.readouterr().err


def test_a_folder_without_captions_is_refused(tmp_path, capsys):
    assert main(["vae", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "captions.tsv" in capsys.readouterr().err

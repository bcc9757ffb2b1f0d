"""Training programs of generators on the real pack."""

from PIL import Image

from engine.training.__main__ import main
from engine.training.programs import PACK


def test_a_run_does_not_go_on_from_a_generator_of_other_looks(tmp_path, capsys):
    for number in range(30):
        Image.new("RGB", (8, 8), (8 * number, 90, 20)).save(tmp_path / f"{number}.png")
    arguments = ["gan", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--images", "16"]
    assert main([*arguments, "--start", str(PACK)]) == 2
    assert "draws avatar, fruit, landscape, smiley; leave out --start" in capsys.readouterr().err

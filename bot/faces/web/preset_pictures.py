"""The picture of each preset that the page's menu shows, drawn by the shipped model.

    python -m bot.faces.web.preset_pictures

To be run again whenever the model or the presets have changed.
"""

import io
import subprocess
import sys

from PIL import Image

from bot.faces.web.pages import STATIC
from bot.prompts import load_presets

LOOKS = STATIC / "looks"
SHOWN = "a fox"
SHOWN_IN = {"photo": "tomatoes"}  # of what it takes photographs of
SEED = 20
SIDE = 96  # pixels: twice what the menu shows, for dense screens


def main() -> None:
    """Draw and keep one picture for each preset."""
    LOOKS.mkdir(exist_ok=True)
    for preset in load_presets():
        prompt = f"{SHOWN_IN.get(preset.name, SHOWN)} --preset {preset.name}"
        command = ["imagine", f"{prompt} --images 1 --seed {SEED}", "--out", "-"]
        drawn = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "bot", *command], check=True, stdout=subprocess.PIPE
        )
        image = Image.open(io.BytesIO(drawn.stdout)).convert("RGB")
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        image.save(LOOKS / f"{preset.name}.webp", quality=85, method=6)
        print(preset.name)  # noqa: T201


if __name__ == "__main__":
    main()

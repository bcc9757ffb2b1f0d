"""The files of the style networks: shipped weights and presets."""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from engine.errors import ModelUnavailable
from engine.networks.style import StyleConfig, StyleTransfer
from engine.networks.weights import BrokenWeights, read_network
from engine.style.target import Style

SHIPPED = Path(__file__).parents[1] / "pack"
WEIGHTS = "style.safetensors"
PRESETS = "style-presets.safetensors"


def read_style_transfer(folder: Path) -> StyleTransfer:
    """Read encoder and decoder.

    Raises:
        ModelUnavailable: the file is missing, broken or of another network.
    """
    try:
        config, state = read_network(folder, "style")
        network = StyleTransfer(StyleConfig(**config))
        network.load_state_dict(state)
    except (BrokenWeights, TypeError, RuntimeError) as error:
        raise ModelUnavailable(
            "style", f"{folder / WEIGHTS} is missing or broken ({error})"
        ) from None
    return network.eval().requires_grad_(requires_grad=False)


def read_presets(path: Path) -> dict[str, Style]:
    """Read styles by name, in the order of their names.

    Raises:
        ModelUnavailable: the file is missing or broken.
    """
    try:
        with safe_open(path, "pt") as file:
            parts = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelUnavailable("style", f"{path} is missing or broken ({error})") from None
    names = sorted({key.split("/")[0] for key in parts})
    return {name: _style_of(name, parts) for name in names}


def preset_tensors(name: str, style: Style) -> dict[str, Tensor]:
    """How a style is shipped, in half floats but for its covariance; `read_presets` reads it."""
    covariance = f"{name}/covariance"
    tensors = _tensors_of(name, style)
    return {key: part if key == covariance else part.half() for key, part in tensors.items()}


def _tensors_of(name: str, style: Style) -> dict[str, Tensor]:
    tensors = {f"{name}/code": style.code, f"{name}/mean": style.mean}
    tensors[f"{name}/covariance"] = style.covariance
    tensors |= {f"{name}/gram{level}": gram for level, gram in enumerate(style.grams)}
    return {key: part.float().contiguous() for key, part in tensors.items()}


def _style_of(name: str, parts: dict[str, Tensor]) -> Style:
    count = sum(key.startswith(f"{name}/gram") for key in parts)
    grams = tuple(parts[f"{name}/gram{level}"] for level in range(count))
    return Style(parts[f"{name}/code"], grams, parts[f"{name}/mean"], parts[f"{name}/covariance"])


def encode_style(style: Style) -> bytes:
    """One style as bytes, to the last bit: it must lead to the same pictures again."""
    data: bytes = save(_tensors_of("style", style))
    return data


def decode_style(data: bytes) -> Style | None:
    """What `encode_style` made; None if it is damaged."""
    try:
        parts = {key: part.float() for key, part in load(data).items()}
        return _style_of("style", parts)
    except (SafetensorError, KeyError):
        return None

import pytest
import torch

from engine.diffusion.prediction import ModelFacts, Prediction
from engine.pipelines.stages.canvas import canvas_of, fitted


def facts(**changes):
    return ModelFacts(prediction=Prediction.EPS, latent_channels=4, **changes)


@pytest.mark.parametrize(
    ("width", "height", "upscale", "multiple", "drawn"),
    [
        (512, 768, 1, 8, (512, 768)),
        (512, 520, 1, 64, (512, 576)),
        (256, 256, 2, 8, (128, 128)),
        (264, 256, 2, 8, (136, 128)),
        (256, 384, 2, 16, (128, 192)),
    ],
)
def test_what_is_drawn_covers_what_is_wanted(width, height, upscale, multiple, drawn):
    canvas = canvas_of(width, height, facts(output_upscale=upscale, size_multiple=multiple))
    assert (canvas.drawn_width, canvas.drawn_height) == drawn
    assert canvas.latent_size == (drawn[1] // 8, drawn[0] // 8)


def test_what_juts_out_is_cut_off_evenly():
    pixels = torch.arange(10.0).view(1, 1, 1, 10).expand(1, 3, 6, 10)
    cut = fitted(pixels, 6, 4, tile=False)
    assert cut.shape == (1, 3, 4, 6)
    assert cut[0, 0, 0].tolist() == [2, 3, 4, 5, 6, 7]


def test_a_seamless_tile_is_scaled_and_loses_nothing():
    pixels = torch.linspace(0, 1, 20).view(1, 1, 1, 20).expand(1, 3, 20, 20)
    scaled = fitted(pixels, 16, 16, tile=True)
    assert scaled.shape == (1, 3, 16, 16)
    assert float(scaled[..., 0].max()) < 0.05
    assert float(scaled[..., -1].min()) > 0.95

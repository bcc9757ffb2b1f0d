"""The noise a Stable Diffusion checkpoint was trained with, from its diffusers configuration."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import diffusers

from engine.diffusion.prediction import ModelFacts, Prediction, Spacing
from engine.diffusion.schedules import training_sigmas
from engine.errors import ModelUnavailable
from engine.models.catalogue import ModelInfo

# What a single file does not say: all Stable Diffusion versions were trained so.
ORIGINAL_NOISE: Mapping[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "timestep_spacing": "leading",
    "steps_offset": 1,
    "set_alpha_to_one": False,
}
_PREDICTIONS = {
    "epsilon": Prediction.EPS,
    "v_prediction": Prediction.V,
    "sample": Prediction.X0,
}


@dataclass(frozen=True, slots=True)
class Noise:
    """Prediction, noise levels and how timesteps are visited."""

    prediction: Prediction
    training_sigmas: tuple[float, ...]  # rising
    spacing: Spacing
    steps_offset: int
    ddim_final_sigma: float

    def facts(self, info: ModelInfo, latent_channels: int, latent_scale: int) -> ModelFacts:
        """Join with what the catalogue prefers."""
        return ModelFacts(
            prediction=self.prediction,
            latent_channels=latent_channels,
            latent_scale=latent_scale,
            sigma_min=self.training_sigmas[0],
            sigma_max=self.training_sigmas[-1],
            training_sigmas=self.training_sigmas,
            spacing=self.spacing,
            steps_offset=self.steps_offset,
            ddim_final_sigma=self.ddim_final_sigma,
            sampler=info.sampler,
            schedule=info.schedule,
            steps=info.steps,
            guidance_scale=info.guidance_scale,
            size_multiple=info.size_multiple,
            native_size=min(info.width, info.height),
            has_preview=True,
            house_prompt=info.house_prompt,
        )


def noise_from(name: str, config: Mapping[str, Any]) -> Noise:
    """Read a `scheduler_config.json`.

    Raises:
        ModelUnavailable: it names a kind of noise or prediction not known here.
    """
    scheduler = str(config.get("_class_name", ""))
    defaults = _class_defaults(scheduler)
    if defaults and "beta_schedule" not in {**defaults, **config}:
        raise ModelUnavailable(
            name,
            f"it was trained with another kind of noise ({scheduler}), which is not known here",
        )
    config = {**defaults, **config}
    prediction = _PREDICTIONS.get(str(config.get("prediction_type", "epsilon")))
    if prediction is None:
        raise ModelUnavailable(
            name,
            f"it predicts {config['prediction_type']!r}, which this family can't be sampled by",
        )
    sigmas = _training_sigmas(name, config)
    return Noise(
        prediction=prediction,
        training_sigmas=sigmas,
        spacing=_spacing(name, config),
        steps_offset=int(config.get("steps_offset", 0)),
        ddim_final_sigma=0.0 if config.get("set_alpha_to_one", True) else sigmas[0],
    )


def _class_defaults(class_name: str) -> dict[str, Any]:
    """What a configuration that is silent means: the defaults of its diffusers class."""
    kind = getattr(diffusers, class_name, None) if class_name.endswith("Scheduler") else None
    if not isinstance(kind, type):
        return {}
    parameters = inspect.signature(kind).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _spacing(name: str, config: Mapping[str, Any]) -> Spacing:
    spacing = config.get("timestep_spacing", "leading")
    try:
        return Spacing(spacing)
    except ValueError as error:
        raise ModelUnavailable(name, f"its timestep_spacing {spacing!r} is unknown") from error


def _training_sigmas(name: str, config: Mapping[str, Any]) -> tuple[float, ...]:
    start, end = float(config.get("beta_start", 1e-4)), float(config.get("beta_end", 0.02))
    count = int(config.get("num_train_timesteps", 1000))
    schedule = config.get("beta_schedule", "linear")
    if schedule not in {"linear", "scaled_linear"}:
        raise ModelUnavailable(name, f"its beta_schedule {schedule!r} is unknown")
    return training_sigmas(
        start,
        end,
        count,
        scaled=schedule == "scaled_linear",
        zero_terminal_snr=bool(config.get("rescale_betas_zero_snr", False)),
    )

"""The models of one device: loaded when first asked for, given up when memory is short.

`execute` is all the worker sees: calls of one batch key in, their results out. Results are on the
CPU in fp32: what lies between two passes is small, and is computed the same whatever the device.
"""

import gc
import hashlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor

from engine.calls import (
    Call,
    Conditioning,
    Decode,
    Denoise,
    Encode,
    EncodeReference,
    EncodeText,
    Enlarge,
    Facts,
    GanCall,
    NetworkRef,
    PairCall,
    StyleCall,
    StyleTokens,
)
from engine.config import EngineConfig
from engine.diffusion.conditioning import joined
from engine.errors import ModelUnavailable, Unsupported
from engine.models.catalogue import Catalogue, Family, ModelInfo
from engine.models.families import (
    PRISTINE,
    Adaptation,
    LoadedGan,
    LoadedModel,
    Loader,
    Place,
)
from engine.models.families.gan import load_own
from engine.models.families.gan_lessons import PairTeacher
from engine.models.families.style import NETWORKS as STYLE_NETWORKS
from engine.models.families.style import StyleNetworks
from engine.models.files import (
    adapter_files,
    fingerprint,
    parameter_count,
    read_header,
    weight_files,
)
from engine.models.hub import is_to_be_fetched, localised
from engine.models.ledger import Ledger
from engine.models.memory import free_main_memory
from engine.models.original_layout import networks_of
from engine.wording import Said

log = logging.getLogger(__name__)

OnLoading: TypeAlias = Callable[[str, float], None]  # model and fraction read; 1.0: done

# Imported when first needed: diffusers alone takes seconds, and the pack needs none of it.
_FAMILY_MODULES: dict[Family, str] = {
    Family.PACK: "engine.models.families.pack",
    Family.SD1: "engine.models.families.stable_diffusion",
    Family.SD2: "engine.models.families.stable_diffusion",
    Family.SDXL: "engine.models.families.stable_diffusion_xl",
    Family.GAN: "engine.models.families.gan",
}
_RESERVE = 0.2  # of the device's memory, for what the passes themselves need
_CPU_SHARE = 0.6  # of the free main memory; the rest is the operating system's and others'
_FETCHES = 4  # models that are fetched at once


class Shelf:
    """The models in memory, and the passes through them."""

    def __init__(
        self,
        config: EngineConfig,
        catalogue: Catalogue,
        *,
        device: str = "auto",
        on_loading: OnLoading = lambda _model, _fraction: None,
    ) -> None:
        """Use `device` ("auto", "cpu", "cuda:0"...); nothing is loaded yet."""
        self._config = config
        self._catalogue = catalogue
        self._device = chosen_device(device)
        self._on_loading = on_loading
        self._ledger = ledger_for(self._device, config.memory_budget_bytes)
        self._models: dict[str, LoadedModel | LoadedGan] = {}
        self._kept: tuple[int, tuple[str, ...]] = (0, ())
        self._fingerprints: dict[str, str] = {}
        self._fetches: dict[str, Future[Any]] = {}  # by model
        self._fetchers = ThreadPoolExecutor(_FETCHES, thread_name_prefix="fetch")
        # A few megabytes, so they stay and need no place in the ledger.
        self._styles = StyleNetworks(self._device, vgg19=config.vgg19_file, notes=config.notes_dir)
        self._pairs = PairTeacher(self._device)

    @property
    def device(self) -> torch.device:
        """Where the models live."""
        return self._device

    def kept(self) -> tuple[int, tuple[str, ...]]:
        """Bytes and names of the models in memory; any thread may ask."""
        return self._kept

    def fingerprint(self, model: str) -> str:
        """Ten digits of the hash of a model's weights; empty where it was never loaded."""
        if model in STYLE_NETWORKS:
            return self._styles.fingerprint(model)
        return self._fingerprints.get(model, "")

    def fetch(self, network: NetworkRef) -> Future[Any] | None:
        """Fetch what is not on this machine of a model, in a thread; None if all of it is.

        All who ask share one fetch. One that failed is begun anew for who asks after that.
        """
        name = network.model
        if name in self._models or name not in self._catalogue.names():
            return None
        fetch = self._fetches.get(name)
        info = self._catalogue.info(name)
        if fetch is None and is_to_be_fetched(info, self._config):
            log.info("fetching %s", name)
            fetch = self._fetches[name] = self._fetchers.submit(localised, info, self._config)
            fetch.add_done_callback(lambda _: self._fetches.pop(name))
        return fetch

    def execute(self, calls: Sequence[Call]) -> list[Any]:
        """Return a result for each call, all of one batch key, from one pass of all their rows.

        Raises:
            MemoryError, torch.OutOfMemoryError: try with fewer rows.
            EngineError: the model can't be loaded or used so.
        """
        with torch.no_grad():
            match calls[0]:
                case Facts(network):
                    return [self._model(network.model).facts() for _ in calls]
                case EncodeText(network):
                    model = self._adapted(network)
                    return [_encoded(model, call) for call in calls if isinstance(call, EncodeText)]
                case _ if isinstance(calls[0], StyleCall):
                    return self._styles.execute(calls)  # type: ignore[arg-type]
                case _ if isinstance(calls[0], GanCall):
                    gan = self._gan(calls[0].network)
                    return gan.execute(calls)  # type: ignore[arg-type]
                case _ if isinstance(calls[0], PairCall):
                    return self._pairs.execute(calls)  # type: ignore[arg-type]
                case _:
                    return self._pass(calls)

    def clear(self, keep: str = "") -> None:
        """Give up all models in memory but the one of that name."""
        for name in self._ledger.names():
            if name != keep:
                self._give_up(name)

    def _pass(self, calls: Sequence[Call]) -> list[Tensor]:
        """Join the rows, compute, and part them again."""
        parts = [_rows(call) for call in calls]
        answer = self._computed(calls, self._joined(parts))
        return list(torch.split(answer.float().cpu(), [len(part) for part in parts]))

    def _computed(self, calls: Sequence[Call], rows: Tensor) -> Tensor:
        """What the network of the calls makes of all their rows."""
        match calls[0]:
            case Denoise(network):
                mates = [call for call in calls if isinstance(call, Denoise)]
                sigma = self._joined([call.sigma for call in mates])
                conditioning = self._conditioning([call.conditioning for call in mates])
                return self._adapted(network).denoise(rows, sigma, conditioning)
            case Encode(network):
                return self._adapted(network).encode(rows)
            case Decode(network, preview=True):
                return self._adapted(network).preview(rows)
            case Decode(network):
                return self._adapted(network).decode(rows)
            case EncodeReference(network):
                return self._model(network.model).encode_reference(rows)
            case Enlarge(network, factor=factor):
                return self._model(network.model).enlarge(rows, factor)
            case other:
                raise Unsupported(Said("a shelf computes no {kind}", kind=type(other).__name__))

    def _joined(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat([part.float() for part in parts]).to(self._device)

    def _conditioning(self, parts: Sequence[Conditioning]) -> Conditioning:
        rows, style = joined(parts), None
        if rows.style is not None:
            style = StyleTokens(self._joined([rows.style.tokens]), self._joined([rows.style.scale]))
        return Conditioning(
            self._joined([rows.tokens]),
            self._joined([rows.pooled]),
            self._joined([rows.extra]),
            style,
        )

    def _adapted(self, network: NetworkRef) -> LoadedModel:
        """The model with the LoRAs and edges that `network` asks for, and no others."""
        model = self._model(network.model)
        info = self._catalogue.info(network.model)
        loras = tuple((self._lora(info, name), weight) for name, weight in network.loras)
        model.adapt(Adaptation(loras, network.tile) if loras or network.tile else PRISTINE)
        self._note(info.name, model)
        return model

    def _lora(self, info: ModelInfo, name: str) -> Path:
        lora = self._catalogue.lora(name)
        if info.family not in lora.families:
            fits = ", ".join(sorted(lora.families))
            reason = "the LoRA {name} is for {families}, the model {model} is not"
            raise Unsupported(Said(reason, name=lora.name, families=fits, model=info.name))
        return Path(lora.where)

    def _model(self, name: str) -> LoadedModel:
        info = self._catalogue.info(name)
        if info.family is Family.GAN:
            reason = "{model} draws dreams only: choose another model"
            raise Unsupported(Said(reason, model=info.name))
        return cast(LoadedModel, self._held(info))

    def _gan(self, network: NetworkRef) -> LoadedGan:
        if network.weights:
            return self._own_gan(network)
        info = self._catalogue.info(network.model)
        if info.family is not Family.GAN:
            reason = "{model} can't dream: choose a model of the family gan"
            raise Unsupported(Said(reason, model=info.name))
        return cast(LoadedGan, self._held(info))

    def _own_gan(self, network: NetworkRef) -> LoadedGan:
        """A generator that was trained here, read from what came with the call."""
        name = network.model
        model = self._models.get(name)
        if model is None:
            self._make_room(2 * len(network.weights))  # the file holds half floats
            place = Place(self._device, dtype_for(self._device, Family.GAN))
            model = self._models[name] = load_own(name, network.weights, place)
            self._fingerprints[name] = hashlib.sha256(network.weights).hexdigest()[:10]
        self._note(name, model)
        return cast(LoadedGan, model)

    def _held(self, info: ModelInfo) -> LoadedModel | LoadedGan:
        """The model, loaded if it is not in memory."""
        model = self._models.get(info.name)
        if model is None:
            model = self._models[info.name] = self._load(info)
        self._note(info.name, model)
        return model

    def _load(self, info: ModelInfo) -> LoadedModel | LoadedGan:
        info = localised(info, self._config)
        files = Path(info.where)
        place = Place(self._device, dtype_for(self._device, info.family))
        size = _size_estimate(info, files, place)
        if not self._ledger.fits(size):
            raise ModelUnavailable(
                info.name,
                f"it takes {_gigabytes(size)} of memory, and {_gigabytes(self._ledger.room_bytes)} "
                "are set aside for models: use a smaller model or a larger device",
            )
        self._make_room(size)
        self._on_loading(info.name, 0.0)
        try:
            model = self._read(info, files, place)
        except (MemoryError, torch.OutOfMemoryError):
            model = None  # until this block is left, the error holds all that was read
        if model is None:
            # Others use the device too, so that the count may be off: try once with it empty.
            self.clear()
            self._collect()
            model = self._read(info, files, place)
        weights = weight_files(info.name, files, info.family)
        self._fingerprints[info.name] = fingerprint(weights)
        self._on_loading(info.name, 1.0)
        return model

    def _read(self, info: ModelInfo, files: Path, place: Place) -> LoadedModel | LoadedGan:
        def on_progress(fraction: float) -> None:
            self._on_loading(info.name, min(fraction, 0.99))

        return loader_of(info.family)(info, files, place, on_progress)

    def _make_room(self, size_bytes: int, keep: str = "") -> None:
        for name in self._ledger.victims(size_bytes, keep):
            self._give_up(name)

    def _give_up(self, name: str) -> None:
        log.info("giving up %s to make room", name)
        self._ledger.strike(name)
        del self._models[name]
        self._kept = (self._ledger.used_bytes, self._ledger.names())
        self._collect()

    def _collect(self) -> None:
        """Give back to the device what nobody holds any more."""
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _note(self, name: str, model: LoadedModel | LoadedGan) -> None:
        """Keep count; what a LoRA put aside may cost another model its place."""
        self._ledger.enter(name, model.bytes_used)
        self._make_room(0, keep=name)
        self._kept = (self._ledger.used_bytes, self._ledger.names())


def loader_of(family: Family) -> Loader:
    """How models of a family are read."""
    loader: Loader = import_module(_FAMILY_MODULES[family]).load
    return loader


def _rows(call: Call) -> Tensor:
    """What a call has a row of for each image."""
    match call:
        case Denoise():
            return call.x
        case Encode() | EncodeReference() | Enlarge():
            return call.pixels
        case Decode():
            return call.latents
    raise Unsupported(Said("a shelf computes no {kind}", kind=type(call).__name__))


def _encoded(model: LoadedModel, call: EncodeText) -> Conditioning:
    # One call at a time: a prompt's length must not depend on its batch mates'.
    answer = model.encode_text(call.prompts, call.width, call.height)
    return Conditioning(answer.tokens.cpu(), answer.pooled.cpu(), answer.extra.cpu())


def chosen_device(device: str) -> torch.device:
    """The device of that name; "auto" is the first CUDA device, else the CPU.

    Raises:
        Unsupported: this machine has no such device.
    """
    if device == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise Unsupported(
            f"there is no kind of device called {device}: use cpu or cuda:0"
        ) from error
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise Unsupported(f"this machine has no {device}: use cpu, or auto")
    return chosen


def dtype_for(device: torch.device, family: Family) -> torch.dtype:
    """What a family computes in: half precision on CUDA, except for our own small networks."""
    if device.type == "cuda" and family not in {Family.PACK, Family.GAN}:
        return torch.float16
    return torch.float32


def ledger_for(device: torch.device, budget_bytes: int) -> Ledger:
    """A ledger of what the operator set, else of most of what the device has free."""
    if budget_bytes:
        return Ledger(budget_bytes)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
    else:
        free = int(free_main_memory() * _CPU_SHARE)
    return Ledger(free, int(free * _RESERVE))


def _size_estimate(info: ModelInfo, files: Path, place: Place) -> int:
    headers = [read_header(info.name, f) for f in weight_files(info.name, files, info.family)]
    if files.is_file() and info.family is not Family.GAN:
        headers = [networks_of(header, info.family) for header in headers]
    headers += [read_header(info.name, file) for file in adapter_files(info)]
    return parameter_count(headers) * place.dtype.itemsize


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB"

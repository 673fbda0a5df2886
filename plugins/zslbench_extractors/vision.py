"""Vision models that transformers reads: feature maps of ResNets, patches of ViT, DINOv2 and CLIP.

Regions of a transformer are its last hidden states of patches as the library's base model gives them (after
the final layer norm for ViT and DINOv2, before it for CLIP), without the class token and registers. Of CLIP
and SigLIP also the embedding of the whole image, in the space that it shares with texts (see ``language``).
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zslbench.errors import DataError, SettingsError
from zslbench.plugin import FeatureExtractor
from zslbench.store import parse_json
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
JOINT_MODELS = {"clip": "CLIPModel", "siglip": "SiglipModel"}
"""Class of each kind of model with a tower for images and one for texts."""
_RESIZES_POSITIONS = {"vit", "clip", "clip_vision_model", "siglip"}
"""Models that fit their position embeddings to another image size only when asked to; others always do."""
_FILTERS: dict[int, Literal["bilinear", "bicubic"]] = {2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of filters, which preprocessor_config.json uses."""


@dataclass(frozen=True)
class Processing:
    """How images are prepared."""

    image_size: int
    interpolation: Literal["bilinear", "bicubic"]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Backbone:
    """A network with its weights."""

    network: nn.Module
    regions: Callable[[Tensor], Tensor]
    """Normalised images (b, 3, h, w) to regions (b, regions, dv), row by row of the grid."""
    processing: Processing
    side: int
    """Regions along the height and along the width of an image."""
    about: dict[str, Any]
    """``name``, ``weights_sha256`` and whatever else identifies it, as JSON data."""


class BackboneExtractor(FeatureExtractor):
    """Runs a frozen backbone on the device where the images are."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._backbone = self.load()
        self._backbone.network.eval().requires_grad_(False).float()
        self.image_size = self._backbone.processing.image_size
        self.interpolation = self._backbone.processing.interpolation

    @abstractmethod
    def load(self) -> Backbone:
        """Read configuration, image processing and weights.

        Raises:
            MissingData: files are not on this machine; the message names them and where to put them.
            DataError: they cannot be read, lack weights, or belong to another network.
            SettingsError: another kind of model, or an image size that does not fit its patches.
        """

    def extract(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b regions dv"]:
        network, processing = self._backbone.network, self._backbone.processing
        if next(network.parameters()).device != images.device:
            network.to(images.device)
        mean, std = (
            torch.tensor(values, device=images.device).view(3, 1, 1)
            for values in (processing.mean, processing.std)
        )
        with torch.no_grad():
            return self._backbone.regions((images - mean) / std)

    def describe(self) -> dict[str, Any]:
        processing, side = self._backbone.processing, self._backbone.side
        normalisation = {"mean": list(processing.mean), "std": list(processing.std)}
        return {"grid": [side, side], "normalisation": normalisation, **self._backbone.about}


class VisionModel(BackboneExtractor):
    """The model that the settings name."""

    settings: VisionSettings

    def load(self) -> Backbone:
        model, size = self.settings.model, self.settings.image_size
        load = load_embedding if self.settings.output == "embedding" else load_vision
        return load(model_folder(model, "extractor.model"), model, size)


def load_vision(folder: Path, model: str, image_size: int | None, kinds: tuple[str, ...] = ()) -> Backbone:
    """The model in a folder.

    Args:
        model: its name on the hub, or the folder's.
        image_size: in pixels; None: as in its image processing.
        kinds: accepted kinds of model; empty: all known ones.
    """
    kind, about = _identified(folder, model, kinds or tuple(_MODELS))
    processing = _processing(folder / PROCESSOR, image_size)
    name, parts = _MODELS[kind]
    network = load_network(folder, name, **parts)
    if kind == "resnet":
        return resnet(network, processing, about)
    size, patch = processing.image_size, int(network.config.patch_size)
    side, rest = divmod(size, patch)
    if rest:
        raise SettingsError(f"{folder}: images of {size} pixels do not divide into {patch}-pixel patches")
    extra = 1 + int(getattr(network.config, "num_register_tokens", 0))
    options = _positions(kind, size, network.config.image_size)

    def regions(images: Tensor) -> Tensor:
        found: Tensor = network(images, **options).last_hidden_state
        if found.shape[1] != extra + side * side:
            fault = f"{found.shape[1]} tokens for {side} x {side} patches and {extra} others"
            raise DataError(folder, [fault])
        return found[:, extra:]

    return Backbone(network, regions, processing, side, {**about, "patch": patch})


def resnet(network: nn.Module, processing: Processing, about: dict[str, Any]) -> Backbone:
    """A ResNet of transformers; regions are its last feature map."""

    def regions(images: Tensor) -> Tensor:
        found: Tensor = network(images).last_hidden_state
        return found.flatten(2).transpose(1, 2)

    side = -(-processing.image_size // 32)  # five halvings, each rounding up
    return Backbone(network, regions, processing, side, about)


def load_embedding(folder: Path, model: str, image_size: int | None) -> Backbone:
    """The model in a folder, whose only region is the embedding of the whole image; arguments as above."""
    kind, about = _identified(folder, model, tuple(JOINT_MODELS))
    processing = _processing(folder / PROCESSOR, image_size)
    network = load_network(folder, JOINT_MODELS[kind])
    options = _positions(kind, processing.image_size, network.config.vision_config.image_size)

    def regions(images: Tensor) -> Tensor:
        return pooled(network.get_image_features(images, **options))[:, None]

    about |= {"name": f"{about['name']}-embedding", "output": "embedding"}
    return Backbone(network, regions, processing, 1, about)


def pooled(found: Any) -> Tensor:
    """The vectors that ``get_image_features`` or ``get_text_features`` found, in versions 5.0 and later."""
    result: Tensor = found if isinstance(found, Tensor) else found.pooler_output
    return result


def _identified(folder: Path, model: str, known: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """The kind of model in a folder, one of the ``known`` ones, and what identifies it."""
    kind = read_json(folder / CONFIG).get("model_type")
    if kind not in known:
        raise SettingsError(f"{folder}: a model of type '{kind}'; this extractor reads {', '.join(known)}")
    about = {
        "name": Path(model).expanduser().name or "model",
        "weights_sha256": digest_of(folder),
        "model_type": kind,
    }
    return str(kind), about


def _positions(kind: str, size: int, trained: int) -> dict[str, bool]:
    """The option with which a model fits its position embeddings to another image size, if it needs one."""
    return {"interpolate_pos_encoding": True} if kind in _RESIZES_POSITIONS and size != trained else {}


def load_network(folder: Path, name: str, **options: Any) -> Any:
    """A model of this class with every weight read from the folder, none initialised at random.

    Raises:
        DataError: it cannot be loaded, or lacks weights.
    """
    transformers = library()
    safe = any(folder.glob("model*.safetensors"))
    try:
        with _quiet(transformers):
            network, found = getattr(transformers, name).from_pretrained(
                folder, local_files_only=True, use_safetensors=safe, output_loading_info=True, **options
            )
    except Exception as error:  # several libraries raise errors of their own
        first = str(error).strip().partition("\n")[0]
        raise DataError(folder, [f"cannot be loaded as {name} ({type(error).__name__}: {first})"]) from None
    missing = sorted(found["missing_keys"]) + sorted(str(key[0]) for key in found.get("mismatched_keys", ()))
    if missing:
        fault = f"lacks {len(missing)} weights of {name}: {', '.join(missing[:5])}"
        raise DataError(folder, [fault], "Download the model again")
    return network


def _processing(path: Path, image_size: int | None) -> Processing:
    """The processing that a file describes, perhaps at another size."""
    found = read_json(path)
    crop = found.get("crop_size") if found.get("do_center_crop", "crop_size" in found) else None
    size = _side(crop) or _side(found.get("size"))
    interpolation = _FILTERS.get(found.get("resample", 2))
    mean, std = found.get("image_mean"), found.get("image_std")
    if found.get("do_normalize") is False:  # null: the default, which is to do so
        mean, std = [0.0] * 3, [1.0] * 3
    faults = []
    if size is None:
        faults.append("size is not that of a square")
    if interpolation is None:
        faults.append(f"resample {found.get('resample')} is neither bilinear (2) nor bicubic (3)")
    if not _three(mean) or not _three(std):
        faults.append("image_mean and image_std are not three numbers each")
    if faults or size is None or interpolation is None or mean is None or std is None:
        raise DataError(path, faults)
    return Processing(image_size or size, interpolation, tuple(map(float, mean)), tuple(map(float, std)))


def _side(size: Any) -> int | None:
    """A square's side: a number, ``{"height": 224, "width": 224}`` or ``{"shortest_edge": 224}``."""
    if isinstance(size, Mapping):
        sides = {size[key] for key in ("height", "width", "shortest_edge") if size.get(key) is not None}
        size = sides.pop() if len(sides) == 1 else None
    return size if isinstance(size, int) and size > 0 else None


def _three(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) == 3
        and all(isinstance(value, int | float) for value in values)
    )


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; DataError: there is none."""
    try:
        found = parse_json(path.read_bytes())
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

"""A small simulated data set: classes have attributes, and attributes are visible in regions of images.

Every attribute has a word vector and, derived from it by one linear map and a little noise, a visual
prototype. An image shows most of its class's attributes; each adds its prototype to one or two cells of
a grid, on top of background clutter and noise. Features are non-negative, as after a ReLU.

As pictures, prototypes are patches of coloured blocks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8

from zslbench import ComponentSettings
from zslbench.data import ArrayRegions, source
from zslbench.errors import UnknownName, did_you_mean
from zslbench.plugin import DataRequest, Dataset, DatasetSource, OfficialSplit
from zslbench_datasets.settings import ToySettings

FEATURES = "simulated"
"""The name of simulated features and regions."""

# fmt: off
ATTRIBUTES = (
    "striped", "spotted", "furry", "feathered", "horned", "hooved", "clawed", "tusked", "webbed",
    "scaly", "maned", "woolly", "whiskered", "masked", "crested", "humped", "shaggy", "slender",
    "stocky", "long-necked", "long-tailed", "big-eared", "nocturnal", "burrowing",
)
_PLACES = (
    "marsh", "dune", "ridge", "reef", "tundra", "canyon", "meadow", "cave", "river", "jungle",
    "steppe", "island",
)
_ANIMALS = (
    "fox", "hare", "lynx", "otter", "heron", "tapir", "marten", "ibex", "gecko", "badger", "crane",
    "vole",
)
# fmt: on

_CLUTTER_KINDS = 6
_BLOCKS = 4
"""Blocks along each side of a patch in a picture."""
_WHITE = 4.0
"""The value that a picture shows as 255."""
_HELD_OUT = 0.2
_FAINT = 0.15  # largest strength of an attribute that a class does not have


class ToySource(DatasetSource):
    """Generates the data set from its settings; reads no files."""

    settings: ToySettings

    def load(self, request: DataRequest) -> Dataset:
        """The data set of these settings, with ``att`` (rows of unit length) or ``original_att`` (0 to 1).

        Raises:
            UnknownName: other features, regions or semantics were requested.
        """
        semantics = check_request(request, regions=())
        return generate(self.settings, request.name, semantics, request.image_size)


def generate(
    s: ToySettings, name: str = "toy", semantics_name: str = "att", image_size: int | None = None
) -> Dataset:
    """The simulated data set: images in random order, with the proposed split's parts.

    Args:
        image_size: height and width of pictures, which then take the place of regions.
    """
    # A stream for each part, so that a change of one setting does not change the other parts.
    classes, looks, images, order = (np.random.default_rng([s.seed, part]) for part in range(4))
    has = _signatures(s, classes)
    strength = np.where(has, classes.uniform(0.5, 1, has.shape), classes.uniform(0, _FAINT, has.shape))
    words = looks.normal(size=(s.attributes, s.words))
    channels = s.channels if image_size is None else 3 * _BLOCKS**2
    prototypes = words @ looks.normal(size=(s.words, channels)) / np.sqrt(s.words)
    prototypes += 0.2 * looks.normal(size=prototypes.shape)
    clutter = looks.normal(size=(_CLUTTER_KINDS, channels))

    labels = order.permutation(np.repeat(np.arange(s.classes), s.images_per_class))
    regions = _regions(s, has[labels], strength[labels], prototypes, clutter, images)
    features = regions.mean(axis=1)
    unit = strength / np.linalg.norm(strength, axis=1, keepdims=True)
    semantics = (unit if semantics_name == "att" else strength).astype(np.float32)
    split = _split(s, labels, order)
    where = "simulated by zslbench_datasets.toy"
    arrays = {"features": features, "labels": labels, "semantics": semantics}
    arrays |= split.parts
    return Dataset(
        name=name,
        features=features,
        labels=labels,
        class_names=_class_names(s, classes),
        semantics=semantics,
        split=split,
        features_name=FEATURES,
        semantics_name=semantics_name,
        attribute_names=tuple(ATTRIBUTES[: s.attributes]),
        attribute_vectors=words.astype(np.float32),
        regions=ArrayRegions(regions if image_size is None else _pictures(regions, s.grid, image_size)),
        finetuned=False,
        sources=tuple(source(key, where, array) for key, array in arrays.items()),
        extra=recorded(s),
    )


def _signatures(s: ToySettings, random: np.random.Generator) -> Bool[np.ndarray, "classes attributes"]:
    """Which attributes each class has: two in five; two classes differ in at least four."""
    have = round(0.4 * s.attributes)
    chosen: list[np.ndarray] = []
    apart, tries = 4, 0
    while len(chosen) < s.classes:
        candidate = np.zeros(s.attributes, dtype=bool)
        candidate[random.permutation(s.attributes)[:have]] = True
        tries += 1
        if tries > 100 * s.classes:  # many classes of few attributes: accept any difference
            apart = 1
        if all(np.count_nonzero(candidate != other) >= apart for other in chosen):
            chosen.append(candidate)
    return np.stack(chosen)


def _class_names(s: ToySettings, random: np.random.Generator) -> tuple[str, ...]:
    """Invented animals, as 'marsh fox'."""
    pairs = random.permutation(len(_PLACES) * len(_ANIMALS))[: s.classes]
    chosen = (divmod(pair, len(_ANIMALS)) for pair in pairs.tolist())
    return tuple(f"{_PLACES[place]} {_ANIMALS[animal]}" for place, animal in chosen)


def _regions(
    s: ToySettings,
    has: Bool[np.ndarray, "images attributes"],
    strength: Float[np.ndarray, "images attributes"],
    prototypes: Float[np.ndarray, "attributes channels"],
    clutter: Float[np.ndarray, "kinds channels"],
    random: np.random.Generator,
) -> Float[np.ndarray, "images regions channels"]:
    """Region features, float32, non-negative."""
    images, cells = len(has), s.grid**2
    shown = has & (random.random(has.shape) < s.visibility)
    # The cell of each attribute, and for half of them a second one, which may be the same.
    first, second = random.integers(cells, size=(2, *has.shape))
    twice = random.random(has.shape) < 0.5
    grid = np.arange(cells)[None, :, None]
    at = (first[:, None] == grid) | (twice[:, None] & (second[:, None] == grid))
    amount = np.where(shown, strength * random.uniform(0.7, 1.3, has.shape), 0.0)
    maps = (at * amount[:, None]).astype(np.float32) @ prototypes.astype(np.float32)
    kinds = random.dirichlet(np.full(len(clutter), 0.5), size=(images, cells)).astype(np.float32)
    maps += s.clutter * (kinds @ clutter.astype(np.float32))
    maps += s.noise * random.standard_normal(maps.shape, dtype=np.float32)
    return np.asarray(np.maximum(maps, 0))


def _pictures(
    regions: Float[np.ndarray, "images cells channels"], grid: int, size: int
) -> UInt8[np.ndarray, "images pixels 3"]:
    """Regions as patches of coloured blocks in a picture of this size, enlarged without interpolation."""
    images, side = len(regions), grid * _BLOCKS
    cells = regions.reshape(images, grid, grid, _BLOCKS, _BLOCKS, 3).transpose(0, 1, 3, 2, 4, 5)
    small = np.round(255 * np.clip(cells / _WHITE, 0, 1)).astype(np.uint8).reshape(images, side, side, 3)
    place = np.arange(size) * side // size
    return small[:, place[:, None], place].reshape(images, size * size, 3)


def _split(s: ToySettings, labels: np.ndarray, random: np.random.Generator) -> OfficialSplit:
    """Random unseen and validation classes (30 % of the seen); a fifth of each seen class is test_seen."""
    shuffled = random.permutation(s.classes)
    unseen, seen = shuffled[: s.unseen], shuffled[s.unseen :]
    held_out = [
        random.permutation(np.flatnonzero(labels == label))[: round(_HELD_OUT * s.images_per_class)]
        for label in seen
    ]
    test_seen = np.sort(np.concatenate(held_out))
    test_unseen = np.flatnonzero(np.isin(labels, unseen))
    trainval = np.setdiff1d(np.arange(len(labels)), np.concatenate([test_seen, test_unseen]))
    validation = np.sort(seen[: max(1, round(0.3 * len(seen)))])
    return OfficialSplit(trainval, test_seen, test_unseen, validation)


def check_request(request: DataRequest, regions: tuple[str, ...]) -> str:
    """The requested class semantics.

    Args:
        regions: names of regions that may be requested.

    Raises:
        UnknownName: the simulated data set does not have what is requested.
    """
    semantics = request.semantics or "att"
    for kind, requested, known in (
        ("features", request.features, (FEATURES,)),
        ("regions", request.regions, regions),
        ("images", request.images, ()),
        ("class semantics", semantics, ("att", "original_att")),
    ):
        if requested is not None and requested not in known:
            text = f"{request.name.lower()} has no {kind} '{requested}'"
            raise UnknownName(f"{text}, {did_you_mean(requested, known)}")
    return semantics


def recorded(settings: ComponentSettings) -> dict[str, Any]:
    """What a run records of a simulated data set."""
    return {"semantics_kind": "attributes", "simulated": True, "settings": settings.model_dump(mode="json")}

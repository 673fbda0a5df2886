"""The extraction that made a region store, to be repeated on other pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped, UInt8
from torch import Tensor

from zslbench.data import Decoder, RegionStore
from zslbench.errors import DataError, SettingsError
from zslbench.plugin import FeatureExtractor, build, load_class, plugin_code, registry, settings_model
from zslbench.store import parse_json
from zslbench_data.extraction.engine import MIXED, region_features
from zslbench_data.extraction.writer import differences

_COMPARED_SEPARATELY = ("name", "grid")


class RecordedExtraction:
    """Decodes pictures and computes their regions as they were stored.

    Args:
        store: written by ``zslbench data extract``.
        settings: of the extractor, ``{"weights": "FILE"}``; those that are not given are the recorded ones.

    Raises:
        DataError: the store was not extracted by an extractor that is installed.
        SettingsError: the extractor, with these settings, is another backbone than the one that was used.
        MissingData: its weights are not on this machine.
    """

    def __init__(self, store: RegionStore, settings: Mapping[str, Any] | None = None) -> None:
        self.store, recorded = store, store.provenance
        self.recorded: Mapping[str, Any] = recorded.get("settings") or {}
        made_by = recorded.get("extractor") or {"name": recorded.get("backbone"), "settings": {}}
        self.name = str(made_by["name"])
        known = {one.name: one for one in registry().components("extractor")}
        if self.name not in known or "image_size" not in self.recorded:
            raise DataError(
                store.path,
                ["was not extracted from pictures by an extractor that is installed"],
                "Run zslbench data extract, and the method on what it writes",
            )
        self.who = f"extractor '{self.name}'"
        values = {**made_by["settings"], **(settings or {})}
        built = build(settings_model(known[self.name]), values, self.who)
        with plugin_code(self.who):
            self.extractor: FeatureExtractor = load_class(known[self.name])(built)
        self._require_same_backbone()
        given = self.recorded.get("value_range")
        self.decoder = Decoder(
            self.recorded["image_size"],
            self.recorded["resize"],
            self.recorded["interpolation"],
            (given[0], given[1]) if given else None,
            bool(self.recorded.get("first_page")),
        )

    def regions(self, pixels: UInt8[Tensor, "b 3 h w"]) -> Shaped[np.ndarray, "b regions dv"]:
        """Regions of pictures that :attr:`decoder` read, in the type that the store has."""
        mixed = pixels.device.type == "cuda" and self.recorded.get("precision") == MIXED
        with plugin_code(self.who):
            found = region_features(self.extractor, pixels, mixed, self.who)
        stored = found.to(getattr(torch, self.store.dtype.name)).cpu().numpy()
        if stored.shape[1:] != self.store.shape[1:]:
            raise SettingsError(
                f"{self.who} gives regions of {stored.shape[1:]}, those of {self.store.path} are "
                f"{self.store.shape[1:]}"
            )
        return stored

    def _require_same_backbone(self) -> None:
        with plugin_code(self.who):
            described = parse_json(json.dumps(dict(self.extractor.describe())))
        here = {key: one for key, one in described.items() if key not in _COMPARED_SEPARATELY}
        here |= {"image_size": self.extractor.image_size, "interpolation": self.extractor.interpolation}
        there = {key: self.recorded.get(key) for key in here}
        if other := differences(there, here):
            raise SettingsError(
                f"{self.who} is not the backbone that made {self.store.path} "
                f"(then, now: {'; '.join(other)}); pass the extraction's --set extractor.NAME=VALUE"
            )

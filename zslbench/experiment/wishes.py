"""What a user asked for, as far as each variant of a method can have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zslbench.experiment.recipe import Recipe, resolve
from zslbench.plugin.declarations import Method, Variant
from zslbench.plugin.lookup import Registry
from zslbench.plugin.settings import fields_of
from zslbench.plugin.targets import settings_model


@dataclass
class Wishes:
    """What the user asked for, as far as a variant can have it.

    A variant may swap components out; settings of theirs and the length of a schedule that it does not have
    are left out there, which is remarked.
    """

    registry: Registry
    method: Method
    settings: Mapping[str, Any]
    epochs: int | None
    others: Mapping[str, Any]
    """Further arguments of :func:`zslbench.experiment.recipe.resolve`."""
    remarks: list[str] = field(default_factory=list)

    def recipe(self, variant: Variant | None, dataset: str) -> Recipe:
        """The recipe of a variant, or of the method itself, on a data set.

        Raises:
            ZslbenchError: as :func:`zslbench.experiment.recipe.resolve` does.
        """
        lacking = [] if variant is None else [key for key in self.settings if self._lacks(variant, key)]
        settings = {key: value for key, value in self.settings.items() if key not in lacking}

        def resolved(epochs: int | None) -> Recipe:
            return resolve(
                self.registry,
                dataset,
                method=self.method.name,
                variant=variant.name if variant else None,
                settings=settings,
                epochs=epochs,
                **self.others,
            )

        epochs = self.epochs
        if variant is not None and variant.components and epochs is not None and not resolved(None).schedule:
            lacking, epochs = [*lacking, "a schedule"], None
        self._remark(variant, lacking)
        return resolved(epochs)

    def _lacks(self, variant: Variant, key: str) -> bool:
        kind, _, name = key.partition(".")
        if kind not in variant.components:
            return False
        component = self.registry.composition(self.method, variant)[kind]  # type: ignore[index]
        return component is None or name not in fields_of(settings_model(component))

    def _remark(self, variant: Variant | None, lacking: Sequence[str]) -> None:
        if variant is not None and lacking:
            text = f"variant '{variant.name}' does not have {', '.join(lacking)}: left out there"
            if text not in self.remarks:
                self.remarks.append(text)

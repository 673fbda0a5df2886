"""Which variants of a method an ablation runs."""

from __future__ import annotations

from collections.abc import Sequence

from zslbench.errors import SettingsError, UnknownName, did_you_mean
from zslbench.plugin.declarations import FULL, Method, Variant


def rows(method: Method, names: Sequence[str] | None) -> dict[str, Variant | None]:
    """The variants in declared order, by name; None: the method itself, where no variant is named ``full``.

    Args:
        names: only these; the whole method is always among them, there is nothing to compare with without.

    Raises:
        SettingsError: the method has no variants.
        UnknownName: it has none of such a name.
    """
    declared: dict[str, Variant | None] = {variant.name: variant for variant in method.variants}
    if not declared:
        raise SettingsError(f"method '{method.name}' has no variants, which an ablation compares")
    declared.setdefault(FULL, None)
    for name in names or ():
        if name not in declared:
            raise UnknownName(
                f"method '{method.name}' has no variant '{name}', {did_you_mean(name, declared)}"
            )
    return {name: one for name, one in declared.items() if names is None or name in (*names, FULL)}

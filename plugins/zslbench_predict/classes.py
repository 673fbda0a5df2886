"""New classes, described by their attributes in a CSV file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from zslbench.data import Findings, attribute_names, data_root, few, find_folder, read_attributes
from zslbench.errors import DataError, did_you_mean
from zslbench.experiment import FittedRun, Notify

_UNIT = 1e-3
"""Largest difference of a norm from 1."""
_APART = 2.0
"""A new vector gets a note if it is this many times shorter or longer than every vector of the data set."""


def read_classes(
    path: Path, run: FittedRun, notify: Notify
) -> tuple[list[str], Float[np.ndarray, "classes attributes"]]:
    """Names and semantics of the classes in a file, on the scale of the run's data set.

    The first column names the class; the others are the data set's attributes by name, in any order, or, if
    it does not name them, in its own order. If all classes of the data set have vectors of unit length, as in
    the field's ``att``, the new ones are scaled to unit length.

    Raises:
        MissingData: there is no such file.
        DataError: it is not such a table, lacks attributes, or has unknown ones.
    """
    findings = Findings()
    table = read_attributes(path.expanduser(), findings)
    findings.raise_errors(path.expanduser().absolute().parent)
    assert table is not None
    known, width = attribute_names_of(run), run.dataset.semantics.shape[1]
    if known is not None:
        given, faults = [str(name).strip() for name in table.columns], []
        if missing := [name for name in known if name not in given]:
            faults.append(f"{len(missing)} of {width} attributes are missing ({few(missing)})")
        if unknown := [name for name in given if name not in known]:
            hint = did_you_mean(unknown[0], known)
            faults.append(
                f"no attribute '{unknown[0]}', {hint}; such columns: {len(unknown)} ({few(unknown)})"
            )
        if faults:
            raise DataError(path, faults)
        table = table.set_axis(given, axis="columns")[list(known)]
    elif len(table.columns) != width:
        fault = f"has {len(table.columns)} columns of values; data set '{run.dataset.name}' has {width}"
        raise DataError(path, [fault])
    else:
        notify(f"{path.name}: '{run.dataset.name}' does not name its attributes; columns are taken in order")
    values = table.to_numpy(dtype=np.float64)
    return [str(name) for name in table.index], _on_scale(values, run, path, notify).astype(np.float32)


def attribute_names_of(run: FittedRun) -> tuple[str, ...] | None:
    """Names of the data set's attributes, one for each column of its semantics; None: it does not name
    them."""
    found, count = run.dataset.attribute_names, run.dataset.semantics.shape[1]
    declared = run.fitter.recipe.parts["dataset"].registered.declaration.folder
    if found is None and declared and run.dataset.semantics_name in ("att", "original_att"):
        folder = find_folder(data_root(run.data_root), declared)  # else read only with region features
        named = attribute_names(folder, count, None) if folder else None
        found = named[0] if named else None
    return found if found is not None and len(found) == count else None


def _on_scale(
    values: Float[np.ndarray, "k attributes"], run: FittedRun, path: Path, notify: Notify
) -> Float[np.ndarray, "k attributes"]:
    own = run.dataset.semantics.astype(np.float64)
    norms: np.ndarray = np.linalg.norm(values, axis=1, keepdims=True)
    norms_own: np.ndarray = np.linalg.norm(own, axis=1)
    if np.allclose(norms_own, 1, atol=_UNIT):
        if not np.allclose(norms, 1, atol=_UNIT):
            notify(f"{path.name}: vectors are scaled to unit length, as those of '{run.dataset.name}' are")
            return np.asarray(values / norms)
    elif values.min() < own.min() or values.max() > own.max():
        notify(
            f"{path.name}: values from {values.min():g} to {values.max():g}, but those of "
            f"'{run.dataset.name}' are from {own.min():g} to {own.max():g}; "
            "scores are wrong if the scales differ"
        )
    elif norms.min() * _APART < norms_own.min() or norms.max() > norms_own.max() * _APART:
        notify(
            f"{path.name}: vectors have lengths from {norms.min():.4g} to {norms.max():.4g}, but those of "
            f"'{run.dataset.name}' are from {norms_own.min():.4g} to {norms_own.max():.4g}; "
            "scores are wrong if the scales differ"
        )
    return values

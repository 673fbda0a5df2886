"""Checks of what a classifier sees of a generator: ``sample``, ``transform``, ``encode``, numbers of rows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from zslbench.experiment.inputs import draw_by_row
from zslbench.plugin.programs import NoiseSpec
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import Networks, Noise
from zslbench.testing.check import (
    Fault,
    NotApplicable,
    close,
    require,
    require_floats,
    require_pure,
    same_bits,
)
from zslbench.testing.harness import ComponentCase
from zslbench.testing.step_checks import all_read

_SAMPLES = 10


def _noise(specs: Mapping[str, NoiseSpec], rows: int, case: ComponentCase) -> Noise:
    return {
        name: draw_by_row(spec, rows, Streams(0, case.device, "check/"), name) for name, spec in specs.items()
    }


def _some(noise: Noise, rows: Tensor) -> Noise:
    return {name: one[rows] for name, one in noise.items()}


def _sampling(case: ComponentCase) -> tuple[Any, Networks, Tensor, Noise]:
    component, nets = case.fitted()
    space = case.space()
    semantics = space.semantics[space.unseen].repeat(_SAMPLES, 1)[:_SAMPLES]
    return component, nets, semantics, _noise(component.sample_noise, _SAMPLES, case)


def counts_per_class(case: ComponentCase) -> None:
    """The numbers of synthetic and real features per class are whole and at least 1."""
    component = case.make()
    for name in ("per_class", "czsl_per_class", "real_per_class"):
        count = getattr(component, name)
        whole = type(count) is int and count >= 1
        allowed = whole or (name == "real_per_class" and count is None)
        require(allowed, f"{name} is {count!r}; return a whole number of 1 or more")


def sample_shape(case: ComponentCase) -> None:
    """``sample`` returns one finite row, as wide as the training features unless it samples inputs, for each
    row of semantics."""
    component, nets, semantics, noise = _sampling(case)
    require(component.samples in ("features", "inputs"), f"samples is {component.samples!r}")
    with torch.no_grad():
        found = component.sample(nets, semantics, noise)
    width = case.inputs.width if component.samples == "features" else "e"
    require_floats("sample", found, len(semantics), width)


def sample_uses_semantics_and_noise(case: ComponentCase) -> None:
    """``sample`` depends on semantics and declared noise only, row by row, and changes nothing."""
    component, nets, semantics, noise = _sampling(case)
    arguments = {"networks": nets, "semantics": semantics, "noise": noise}
    with all_read(noise, "sample", "sample_noise") as watched:
        sample = partial(component.sample, nets, semantics, watched)
        found = require_pure("sample", sample, arguments, "declare its noise in sample_noise")
    part = torch.tensor([7, 2], device=semantics.device)
    with torch.no_grad():
        some = component.sample(nets, semantics[part], _some(noise, part))
        other = component.sample(nets, semantics.flip(1), dict(noise))
    same = close(some, found[part])
    require(same, "sample's result for a row depends on the other rows; use no statistics of the batch")
    require(
        not same_bits(other, found),
        "sample returns the same features for other semantics, so it cannot separate classes",
    )


def transform_widths(case: ComponentCase) -> None:
    """Real and synthetic rows have the same width and dtype, with noise and without."""
    component, nets, semantics, noise = _sampling(case)
    real = case.use(component, nets, case.rows())
    with torch.no_grad():
        made = {"synthetic ones": component.sample(nets, semantics, noise)}
        drawn = _noise(component.transform_noise, _SAMPLES, case)
        if component.samples == "features":
            made = {name: component.transform(nets, one, drawn) for name, one in made.items()}
        made["real ones with noise"] = component.transform(nets, case.rows()[:_SAMPLES], drawn)
    for what, one in made.items():
        require(
            (real.shape[1:], real.dtype) == (one.shape[1:], one.dtype),
            f"transform returns {real.dtype} {tuple(real.shape[1:])} for real features and {one.dtype} "
            f"{tuple(one.shape[1:])} for {what}",
        )


def transform_uses_noise(case: ComponentCase) -> None:
    """``transform`` reads exactly the noise that it declares, row by row, and changes nothing."""
    component, nets = case.fitted()
    g, specs = case.rows(), component.transform_noise
    noise = _noise(specs, len(g), case)
    arguments = {"networks": nets, "features": g, "noise": noise}
    with all_read(noise, "transform", "transform_noise") as watched:
        transform = partial(component.transform, nets, g, watched)
        found = require_pure("transform", transform, arguments, "declare its noise in transform_noise")
    for name in ("redraws", "draws_at_test"):
        draws = not getattr(component, name) or specs
        require(draws, f"{name} is True, but transform_noise declares nothing to draw")
    part = torch.tensor([7, 2], device=g.device)
    with torch.no_grad():
        same = close(component.transform(nets, g[part], _some(noise, part)), found[part])
    require(same, "transform's result for a row depends on the other rows; use no statistics of the batch")


def encodes_by_row(case: ComponentCase) -> None:
    """``encode`` returns the terms that ``sample`` reads, row by row, and changes nothing."""
    component, nets = case.fitted()
    g, space = case.rows(), case.space()
    semantics = space.semantics[torch.arange(len(g), device=g.device) % len(space.names)]
    noise = _noise(component.sample_noise, len(g), case)
    arguments = {"networks": nets, "features": g, "semantics": semantics, "noise": noise}
    advice = "take its noise from the argument"
    for drawn in (noise, {}):
        encode = partial(component.encode, nets, g, semantics, drawn)
        found = require_pure("encode", encode, arguments, advice)
        if found is None:
            raise NotApplicable("the generator has no encoder")
        for name, one in noise.items():
            if name not in found:
                raise Fault(f"encode leaves out '{name}', which sample reads")
            what = f"{tuple(found[name].shape)}, not {tuple(one.shape)}"
            require(found[name].shape == one.shape, f"encode returns '{name}' of shape {what}")
        part = torch.tensor([7, 2], device=g.device)
        with torch.no_grad():
            some = component.encode(nets, g[part], semantics[part], _some(drawn, part))
        same = all(close(some[name], found[name][part]) for name in noise)
        require(same, "encode's result for a row depends on the other rows; use no statistics of the batch")

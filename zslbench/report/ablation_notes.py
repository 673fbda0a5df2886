"""What is said below the table of an ablation."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from zslbench.report.ablation import DIFFERENCES, Ablation
from zslbench.report.results import ORACLE_NOTE, has_oracle
from zslbench.report.stages import stages_line


def notes(ablation: Ablation) -> list[str]:
    """A line each: what was reused, where an order is not the published one, where that comes from."""
    records = ablation.records
    lines = list(ablation.remarks)
    lines += [
        f"{dataset}: published {figure} in order: {orders[0]}; here: {orders[1]}"
        for dataset in ablation.datasets
        for figure in DIFFERENCES
        if (orders := other_order(ablation, dataset, figure)) is not None
    ]
    if any(cell.records and cell.failed for cell in ablation.cells.values()):
        lines.append("(n): over the n seeds whose runs did not fail")
    sources = {
        printed.source
        for (variant, dataset), printed in ablation.printed.items()
        if variant in ablation.variants and dataset in map(str.lower, ablation.datasets)
    }
    if sources:
        lines.append(f"published: {', '.join(sorted(sources))}")
    lines += [
        f"{dataset}: published under other conditions than ours ({', '.join(reasons)})"
        for dataset in ablation.datasets
        if (reasons := other_conditions(ablation, dataset))
    ]
    if records:
        lines.append(f"runs: {len(records) - ablation.found} computed, {ablation.found} found in the store")
    if stages := stages_line(records):
        lines.append(stages)
    if has_oracle(records):
        lines.append(ORACLE_NOTE)
    return lines


def other_conditions(ablation: Ablation, dataset: str) -> list[str]:
    """What sets the published figures of a data set apart from its runs, a reason each."""
    found = [
        reason
        for variant in ablation.variants
        if (row := ablation.printed.get((variant, dataset.lower()))) is not None
        for record in ablation.cells[variant, dataset].records
        for reason in row.unlike(str(record.data["semantics"]), str(record.data["features"]))
    ]
    return list(dict.fromkeys(found))


def other_order(ablation: Ablation, dataset: str, figure: str) -> tuple[str, str] | None:
    """The published order of the variants and the one found, best first; None: they agree.

    Variants that lack a figure on either side are left out. Published figures that are equal say nothing
    about an order.
    """
    printed, here = {}, {}
    for variant in ablation.variants:
        published = ablation.printed_figure(variant, dataset, figure)
        found = ablation.values(variant, dataset, figure).mean(skipna=False)
        if published == published and found == found:  # neither is NaN
            printed[variant], here[variant] = published, float(found)
    agree = all(
        here[better] > here[worse]
        for better in printed
        for worse in printed
        if printed[better] > printed[worse]
    )
    return None if agree else (_order(printed), _order(here))


def _order(figures: Mapping[str, float]) -> str:
    """``"full > no-gce > no-scr = no-egs"``."""
    names = sorted(figures, key=lambda name: -figures[name])
    text = names[0]
    for before, name in pairwise(names):
        text += f" {'=' if figures[name] == figures[before] else '>'} {name}"
    return text

"""The page: every section built, rendered and put together; equal stores give equal bytes.

A section is an id, a title, a function that builds what its template ``templates/sections/<id>.html.j2``
shows, and that template. To add one, write function and template and name them in ``SECTIONS``.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jinja2
from markupsafe import Markup, escape

from zslbench import __version__
from zslbench.errors import ZslbenchError
from zslbench.output import visible_lines
from zslbench.report import is_simulated, signed, trust_notes
from zslbench_report.html.classes import class_accuracies, confusion
from zslbench_report.html.curves import sample_statistics, seen_unseen_curves, training_curves
from zslbench_report.html.networks import attention, tsne
from zslbench_report.html.report import Report
from zslbench_report.html.results import audits, findings, missing, results, variants
from zslbench_report.html.runs import notes, protocol, provenance, runs, settings
from zslbench_report.theme import SHADE, variables

_log = logging.getLogger("zslbench")
_JOINT = re.compile(r"(?<=[._/:])(?=\w)")


@dataclass(frozen=True)
class Section:
    """One section of the page."""

    id: str
    """Names its template, its place on the page, and the section for ``--without``."""
    title: str
    build: Callable[[Report], Mapping[str, Any] | None]
    """What the template shows; None: nothing to show, and the section is left out."""


SECTIONS = (
    Section("results", "Results", results),
    Section("findings", "What the table says", findings),
    Section("protocol", "How the numbers were selected", protocol),
    Section("audits", "Leak audits", audits),
    Section("missing", "Missing and failed cells", missing),
    Section("curves", "Seen–unseen curves", seen_unseen_curves),
    Section("classes", "Accuracy by class", class_accuracies),
    Section("confusion", "Confused unseen classes", confusion),
    Section("training", "Training curves", training_curves),
    Section("samples", "Synthetic features during training", sample_statistics),
    Section("ablation", "Variants of one method", variants),
    Section("tsne", "Features in two dimensions (t-SNE)", tsne),
    Section("attention", "Where the embedding looks", attention),
    Section("settings", "Settings", settings),
    Section("runs", "Runs", runs),
    Section("provenance", "Data and environment", provenance),
    Section("notes", "Notes and warnings", notes),  # last: it reports what the others could not show
)
"""In the order of the page."""


def page(report: Report) -> str:
    """The report as one HTML file that refers to no other.

    A section that fails becomes one sentence and leaves the others alone.
    """
    bodies = [(one, _body(report, one)) for one in SECTIONS if one.id not in report.without]
    outcome = report.outcome
    text = TEMPLATES.get_template("page.html.j2").render(
        report=report,
        outcome=outcome,
        sections=[(section, body) for section, body in bodies if body is not None],
        simulated=sorted({one.info.dataset for one in outcome.records if is_simulated(one)}),
        leaks=trust_notes(outcome.records),
        version=__version__,
        shade=SHADE,
        light=variables(False),
        dark=variables(True),
    )
    return visible_lines(text)


def _body(report: Report, section: Section) -> Markup | None:
    try:
        content = section.build(report)
        if content is None:
            return None
        made = TEMPLATES.get_template(f"sections/{section.id}.html.j2")
        return Markup(made.render(**content, without_charts=report.without_charts))
    except Exception as error:
        text = str(error)
        if not isinstance(error, ZslbenchError):
            text = f"{type(error).__name__}: {error} (a bug in zslbench or a plugin)"
            _log.warning("report: section '%s' failed: %s", section.title, text, exc_info=True)
        report.add_fault(f"section '{section.title}' failed: {text}")
        return Markup("<p class='note'>This section failed: {}</p>").format(text)


# --- templates -----------------------------------------------------------------------------------


def _decimal(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _shown(value: Any) -> Any:
    """A cell's value; a dash where it is missing."""
    if value is None or value == "" or value != value:
        return "–"
    return _decimal(value) if isinstance(value, float) else value


def _unbroken_words(text: str) -> Markup:
    """The text with line breaks between words only, not at the hyphens of a name."""
    return Markup(" ").join(Markup('<span class="nb">{}</span>').format(word) for word in text.split())


def _breakable(text: str) -> Markup:
    """The text with optional line breaks after the joints of names such as ``164.Cerulean_Warbler``."""
    return Markup("<wbr>").join(escape(part) for part in _JOINT.split(text))


TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("zslbench_report.html"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters |= {"decimal": _decimal, "shown": _shown, "signed": signed}
TEMPLATES.filters |= {"words": _unbroken_words, "breaks": _breakable}
TEMPLATES.globals["swatch"] = vars(TEMPLATES.get_template("macros.html.j2").module)["swatch"]

"""The page: every section built, rendered and put together; equal stores give equal bytes."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import jinja2
from markupsafe import Markup, escape

from zslbench import __version__
from zslbench.errors import ZslbenchError
from zslbench.report import ORACLE_NOTE, has_oracle, is_simulated, signed
from zslbench_report.html.report import Report
from zslbench_report.html.sections import SECTIONS, Section
from zslbench_report.html.theme import SHADE, Tone, variables

_log = logging.getLogger("zslbench")
_JOINT = re.compile(r"(?<=[._/:])(?=\w)")


@dataclass(frozen=True)
class _Rendered:
    id: str
    title: str
    body: Markup


def page(report: Report) -> str:
    """The report as one HTML file that refers to no other.

    A section that fails becomes one sentence and leaves the others alone.
    """
    sections = [_rendered(report, one) for one in SECTIONS if one.id not in report.options.without]
    outcome = report.outcome
    return _template("page.html.j2").render(
        outcome=outcome,
        sections=[one for one in sections if one is not None],
        facts=_counts(report),
        simulated=sorted({one.info.dataset for one in outcome.records if is_simulated(one)}),
        oracle=ORACLE_NOTE if has_oracle(outcome.records) else "",
        without_charts=report.without_charts,
        command=report.options.command,
        version=__version__,
        style=Markup(
            _template("style.css.j2").render(shade=SHADE, light=variables(False), dark=variables(True))
        ),
        early=Markup(_template("early.js").render()),
        script=Markup(_template("script.js").render()),
    )


def _counts(report: Report) -> list[tuple[int, str]]:
    outcome = report.outcome
    counts = (
        (len(outcome.lines), "method", "methods"),
        (len(outcome.datasets), "data set", "data sets"),
        (len(outcome.seeds), "seed", "seeds"),
        (len(outcome.records), "run", "runs"),
    )
    return [(number, one if number == 1 else many) for number, one, many in counts]


def _rendered(report: Report, section: Section) -> _Rendered | None:
    try:
        content = section.build(report)
        if content is None:
            return None
        template = _template(f"sections/{section.id}.html.j2")
        body = template.render(**content, without_charts=report.without_charts)
    except Exception as error:
        text = str(error)
        if not isinstance(error, ZslbenchError):
            text = f"{type(error).__name__}: {error} (a bug in zslbench or a plugin)"
            _log.warning("report: section '%s' could not be made: %s", section.title, text, exc_info=True)
        report.add_fault(f"section '{section.title}' could not be made: {text}")
        body = str(Markup("<p class='note'>This section could not be made: {}</p>").format(text))
    return _Rendered(section.id, section.title, Markup(body))


# --- templates -----------------------------------------------------------------------------------


def _template(name: str) -> jinja2.Template:
    return _templates().get_template(name)


@cache
def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("zslbench_report.html"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    made.filters |= {"decimal": _decimal, "words": _unbroken_words, "breaks": _breakable, "signed": signed}
    made.globals["swatch"] = _swatch
    return made


def _decimal(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _unbroken_words(text: str) -> Markup:
    """The text with line breaks between words only, not at the hyphens of a name."""
    return Markup(" ").join(Markup('<span class="nb">{}</span>').format(word) for word in text.split())


def _breakable(text: str) -> Markup:
    """The text with optional line breaks after the joints of names such as ``164.Cerulean_Warbler``."""
    return Markup("<wbr>").join(escape(part) for part in _JOINT.split(text))


_SHAPES: Mapping[str, str] = {
    "o": '<circle cx="14" cy="6" r="3.6"/>',
    "s": '<rect x="10.8" y="2.8" width="6.4" height="6.4"/>',
    "D": '<path d="M14 1.4 18.6 6 14 10.6 9.4 6z"/>',
    "^": '<path d="M14 1.6 18.4 9.6H9.6z"/>',
    "v": '<path d="M14 10.4 18.4 2.4H9.6z"/>',
    "P": '<path d="M12.4 1.6h3.2v2.8h2.8v3.2h-2.8v2.8h-3.2V7.6H9.6V4.4h2.8z"/>',
    "X": '<path d="M11 1.4 14 4.2 17 1.4 18.6 3 15.8 6 18.6 9 17 10.6 14 7.8 11 10.6 9.4 9 12.2 6 9.4 3z"/>',
}
"""Markers of charts, in a box of 28 × 12."""


def _swatch(tone: Tone) -> Markup:
    """A piece of a method's line with its marker."""
    dash = f' stroke-dasharray="{" ".join(str(2 * one) for one in tone.dash)}"' if tone.dash else ""
    line = f'<path d="M1 6h26" fill="none" stroke="currentColor" stroke-width="2"{dash}/>'
    style = f"color:var(--{tone.colour});fill:var(--{tone.colour})"
    return Markup(
        f'<svg class="swatch" viewBox="0 0 28 12" width="28" height="12" aria-hidden="true" style="{style}">'
        f"{line}{_SHAPES[tone.marker]}</svg>"
    )

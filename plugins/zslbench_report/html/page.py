"""The page: every section built, rendered and put together; the same store gives the same bytes."""

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
from zslbench.report.results import ORACLE_NOTE, has_oracle, is_simulated
from zslbench.report.tables.figures import signed
from zslbench_report.html.sections import Section, sections
from zslbench_report.html.subject import Subject
from zslbench_report.html.theme import SHADE, Tone, variables

_log = logging.getLogger("zslbench")
_JOINT = re.compile(r"(?<=[._/:])(?=\w)")


@dataclass(frozen=True)
class _Made:
    id: str
    title: str
    body: Markup


def section_ids() -> tuple[str, ...]:
    """Ids of all sections, in order."""
    return tuple(one.ID for one in sections())


def page(subject: Subject) -> str:
    """The report as one HTML file without any reference to another.

    A section that cannot be made becomes a sentence; the others are not touched by it.
    """
    made = [_section(subject, one) for one in sections() if one.ID not in subject.options.without]
    outcome = subject.outcome
    records = outcome.records
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            outcome=outcome,
            sections=[one for one in made if one is not None],
            facts=_facts(subject),
            simulated=sorted({record.info.dataset for record in records if is_simulated(record)}),
            oracle=ORACLE_NOTE if has_oracle(records) else "",
            without_charts=subject.without_charts,
            command=subject.options.command,
            version=__version__,
            style=Markup(
                _templates()
                .get_template("style.css.j2")
                .render(shade=SHADE, light=variables(False), dark=variables(True))
            ),
            early=Markup(_templates().get_template("early.js").render()),
            script=Markup(_templates().get_template("script.js").render()),
        )
    )


def _facts(subject: Subject) -> list[tuple[int, str]]:
    outcome = subject.outcome
    counted = (
        (len(outcome.lines), "method", "methods"),
        (len(outcome.datasets), "data set", "data sets"),
        (len(outcome.seeds), "seed", "seeds"),
        (len(outcome.records), "run", "runs"),
    )
    return [(number, one if number == 1 else many) for number, one, many in counted]


def _section(subject: Subject, section: Section) -> _Made | None:
    try:
        content = section.build(subject)
        if content is None:
            return None
        template = _templates().get_template(f"sections/{section.ID}.html.j2")
        body = template.render(**content, without_charts=subject.without_charts)
    except Exception as error:
        known = isinstance(error, ZslbenchError)
        told = (
            str(error) if known else f"{type(error).__name__}: {error} (a fault of zslbench or of a plugin)"
        )
        subject.tell(f"section '{section.TITLE}' could not be made: {told}")
        if not known:
            _log.warning("report: section '%s' could not be made: %s", section.ID, told, exc_info=True)
        body = str(Markup("<p class='note'>This section could not be made: {}</p>").format(told))
    return _Made(section.ID, section.TITLE, Markup(body))


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
    made.filters["decimal"] = _decimal
    made.filters["words"] = _words
    made.filters["breaks"] = _breaks
    made.filters["signed"] = signed
    made.globals["swatch"] = _swatch
    return made


def _decimal(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _words(text: str) -> Markup:
    """The text that breaks between words alone, not at the hyphens of a name."""
    return Markup(" ").join(Markup('<span class="nb">{}</span>').format(word) for word in text.split())


def _breaks(text: str) -> Markup:
    """The text that may also break behind the joints of names such as ``164.Cerulean_Warbler``."""
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

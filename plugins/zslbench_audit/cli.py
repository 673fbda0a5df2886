"""``zslbench audit``: run methods under leak probes, and list the audits in the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from zslbench.cli import COUNT, format_option, note, options_of, store_option
from zslbench.output import echo

if TYPE_CHECKING:
    from zslbench_audit import AuditResult


@click.command()
@click.argument("method", required=False)
@click.option("--suite", help="Audit every line of this suite (a name, or a TOML file).")
@click.option("--variant", help="One of the method's variants.")
@options_of("reading", "settings", "preset")
@click.option("--embedding", help="Embedding of a custom composition.")
@click.option("--generator", help="Generator of a custom composition, if needed.")
@click.option("--classifier", help="Classifier of a custom composition.")
@click.option("--epochs", type=COUNT, default=5, show_default=True, help="Maximum epochs.")
@click.option(
    "--select",
    type=click.Choice(["val", "oracle"]),
    default="val",
    show_default=True,
    help="Selection in the probe runs; oracle shows that the probes catch leaks.",
)
@click.option("--list", "listed", is_flag=True, help="List the audits in the store and run nothing.")
@store_option
@format_option
def audit(
    method: str | None,
    suite: str | None,
    listed: bool,
    store: Path | None,
    fmt: str,
    select: Literal["val", "oracle"],
    **options: Any,
) -> None:
    """Test METHOD on the toy data with leak probes and report what each proved.

    Without METHOD, all installed methods are audited. The exit code is 1 if a probe fails. Reports show the
    audit of each row's method, variant and reading until the plugin's source changes.
    """
    import zslbench_audit as auditing
    from zslbench.cli import TerminalDisplay
    from zslbench.errors import ZslbenchError
    from zslbench.report import emit

    if listed:
        _list(store, method, fmt)
        return
    composed = any(options[kind] for kind in ("embedding", "generator", "classifier"))
    of_one = composed or any(options[name] for name in ("variant", "reading", "settings", "preset"))
    if suite and (method or of_one):
        raise click.UsageError(
            "--suite selects methods, variants and readings; do not combine it with METHOD or its options"
        )
    if not (method or composed) and of_one:
        raise click.UsageError("--variant, --reading, --set and --preset need a METHOD: name it")
    targets: list[dict[str, Any]] = [{"method": method}] if method or composed else _targets(suite)
    display = TerminalDisplay()
    results: list[AuditResult] = []
    failures: list[str] = []
    for target in targets:
        try:
            found = auditing.judge(**{**options, **target}, select=select, store=store, notify=display.say)
        except ZslbenchError as error:
            if len(targets) == 1:
                raise
            name = target.get("method") or "+".join(target.values())
            failures.append(f"{name}: {error}")  # the other methods are still audited
            continue
        results.append(found)
        if not found.passed:
            failures.append(f"{found.label}: {found.verdict}, failed: {', '.join(found.failed)}")
    if fmt in ("csv", "json"):
        emit([row for one in results for row in one.rows()], fmt)
    else:
        for place, one in enumerate(results):
            if place:
                echo()
            shown = [(probe.name, "passed" if probe.passed else "FAILED", probe.text) for probe in one.probes]
            rows = [dict(zip(("probe", "result", "what it proves"), each, strict=True)) for each in shown]
            emit(rows, fmt, title=f"audit of {one.label}: {one.verdict}")
    if results:
        note("what an audit cannot prove:")
        for text in auditing.LIMITS:
            echo(f"  {text}", err=True)
    if failures:
        raise ZslbenchError("; ".join(failures))


def _targets(suite: str | None) -> list[dict[str, Any]]:
    """Method, variant and reading of each line of a suite, or every installed method."""
    from zslbench.plugin import FULL
    from zslbench_audit.process import Process

    with Process() as process:  # this process, which evaluates, imports no plugin
        known, _ = process.ask("methods")
    if suite is None:
        return [{"method": name} for name in known]
    from zslbench.experiment import find_suite

    found: list[dict[str, Any]] = []
    for row in find_suite(suite).rows:
        if row.components:
            found.append(row.components)
            continue
        if row.method not in known:
            note(f"no plugin registers method '{row.method}': not audited")
            continue
        variant = row.variants[0] if row.variants else None
        if variant == FULL:  # the method itself, whether or not it declares this variant
            variant = None
        target = {"method": row.method, "variant": variant, "reading": (row.readings or (None,))[0]}
        found += [target] if target not in found else []
    return found


def _list(store: Path | None, method: str | None, fmt: str) -> None:
    import zslbench_audit as auditing
    from zslbench.report import emit
    from zslbench.store import Store

    rows = [
        {
            "audit": one.id,
            "method": one.label,
            "result": one.verdict,
            "failed": ", ".join(one.failed) or None,
            "selection": one.selection,
            "version": "installed" if auditing.is_current(one) else "another",
            "when": one.when.isoformat(timespec="seconds"),
            "seconds": round(one.seconds, 1),
        }
        for one in auditing.stored(Store.default(store))
        if method is None or one.method == method
    ]
    if not rows:
        note("no audit in the store; zslbench audit METHOD makes one")
    emit(rows, fmt)

"""Checks that components leave process-wide settings and standard output alone."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial

from zslbench.plugin.process import START, preserved
from zslbench.testing.check import require
from zslbench.testing.data_checks import DatasetCase, sample_images
from zslbench.testing.harness import USES, ComponentCase


def leaves_process_alone(case: ComponentCase | DatasetCase) -> None:
    """Fitting and using it changes no process-wide setting and writes nothing to standard output."""
    for who, use in _uses(case):
        with preserved(START), contextlib.suppress(Exception):
            use()  # libraries imported here for the first time may set what they need, once
        with _watched(who):
            use()


def _uses(case: ComponentCase | DatasetCase) -> Iterator[tuple[str, Callable[[], object]]]:
    if isinstance(case, DatasetCase):
        assert case.dataset is not None  # None only if its files are not on this machine
        yield "load", case.load
    elif case.kind == "extractor":
        images, extract = sample_images(case)
        yield "extract", partial(extract, images)
    else:
        yield "fit", case.fit
        component, nets = case.fitted()
        yield USES[case.kind], partial(case.use, component, nets, case.rows())


@contextlib.contextmanager
def _watched(who: str) -> Iterator[None]:
    """Require that nothing is printed, not even by C code, and that no setting changes; restore both."""
    failure: Exception | None = None
    with tempfile.TemporaryFile() as file, preserved(START) as changed:
        sys.stdout.flush()
        own = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                yield
        except Exception as error:  # may be a consequence of a changed setting, which is reported first
            failure = error
        finally:
            os.dup2(own, 1)
            os.close(own)
        file.seek(0)
        text = (printed.getvalue() + file.read().decode(errors="replace")).strip()
    settings = ", ".join(changed)
    require(
        not changed,
        f"{who} leaves {settings} changed for the whole process; restore it, e.g. with a context manager",
    )
    if failure is not None:
        raise failure
    require(
        not text,
        f"{who} prints {text[:60]!r} to standard output, where tables go; log it (logging.getLogger)",
    )

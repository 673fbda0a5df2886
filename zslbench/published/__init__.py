"""Printed figures of the literature, each with its source."""

from zslbench.published.results import PublishedResults as PublishedResults
from zslbench.published.row import PublishedRow as PublishedRow
from zslbench.published.verdict import Verdict as Verdict, verdict as verdict

"""Printed figures of the literature, each with its source."""

from zslbench.experiment.published.results import PublishedResults as PublishedResults
from zslbench.experiment.published.row import PublishedRow as PublishedRow

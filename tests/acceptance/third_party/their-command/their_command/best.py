"""The Python function behind the command."""

from zslbench.errors import UnknownName, did_you_mean
from zslbench.store import Store


def best(method=None, *, store=None, figure="h"):
    """The runs of a store, best first.

    Raises:
        UnknownName: the store has no run of this method.
    """
    records = Store.default(store).records()
    names = {one.info.method for one in records}
    if method is not None and method not in names:
        raise UnknownName(f"no run of '{method}' in the store, {did_you_mean(method, names)}")
    chosen = [one for one in records if method in (None, one.info.method)]
    rows = [{"run": one.info.id, "method": one.info.method, figure: one.metrics[figure]} for one in chosen]
    return sorted(rows, key=lambda row: -row[figure])

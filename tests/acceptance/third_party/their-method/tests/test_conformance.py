"""What zslbench asks of a generator and of a method."""

from zslbench.testing import checks_for, checks_for_method, parametrize_with_checks

TINY = {"generator.epochs": 1, "generator.hidden": 8, "classifier.epochs": 1, "dataset.images_per_class": 10}


@parametrize_with_checks(checks_for("generator", "their-generator", settings={"hidden": 8}))
def test_generator(check):
    check()


@parametrize_with_checks(checks_for_method("their-method", settings=TINY))
def test_method(check):
    check()

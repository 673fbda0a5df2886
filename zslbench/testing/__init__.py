"""Conformance checks that authors run on their own components and methods.

In a test file of your plugin, once the plugin is installed::

    from zslbench.testing import checks_for, parametrize_with_checks

    @parametrize_with_checks(checks_for("generator", "their-generator", settings={"hidden": 8}))
    def test_generator(check):
        check()

Each check becomes one named test. Without pytest, ``check_component`` and ``check_method``
run all checks and raise one :class:`ConformanceError` that lists every fault. List a check that is known to
fail with the reason, ``expected_failures={"steps_lift": "uses a custom kernel"}``; it is reported once it
passes.

Components are fitted on small generated inputs (:class:`TinyInputs`), with training shortened to one epoch.
:mod:`zslbench.testing.fakes` has plugins and runs that exist in memory only, for tests of code that uses
them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""f-VAEGAN-D2 is TF-VAEGAN without what that one adds."""

from __future__ import annotations


def test_two_epochs_are_one_epoch_of_the_variant_to_the_last_bit(small_run):
    variant = small_run(variant="f-vaegan", epochs=1)
    ours = small_run(method="f-vaegan-d2", epochs=2)
    for name in ("acc", "u", "s", "h"):
        assert ours.metrics[name] == variant.metrics[name]
    assert len(variant.table("networks")) > 10
    assert ours.table("networks").equals(variant.table("networks"))

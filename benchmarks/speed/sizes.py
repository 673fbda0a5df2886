"""How large each part is, by the kind of machine."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Sizes:
    """Sizes of every part."""

    name: str
    told: str
    """What a reader should know of these sizes."""
    width: int
    """Of a region's features and of g."""
    hidden: int
    attributes: int
    seen: int
    unseen: int
    images: int
    """Training images of stage 3 and the classifier."""
    per_class: int
    """Synthetic features per unseen class."""
    regions: int
    stored: int
    """Images whose regions are kept for what reads regions."""
    batch: int
    iterations: int
    """Iterations of a timed block of stage 3, in each of its two passes."""
    stage1_iterations: int
    classifier_epochs: int
    repeats: int
    replicas: tuple[int, ...]
    scores: tuple[tuple[int, int], ...]
    """Test images and classes of the evaluator's part."""
    whole: tuple[str, ...]
    """Options of the run from start to end."""
    matmul: int
    """Edge of the square matrices that the product's rate is measured with."""
    copied: int
    """Floats that the copy's rate is measured with."""


SUN = Sizes(
    name="SUN",
    told="the sizes of SUN and of the authors' networks",
    width=2048, hidden=4096, attributes=102, seen=645, unseen=72, images=10_320, per_class=400,
    regions=196, stored=1024, batch=64, iterations=10, stage1_iterations=20, classifier_epochs=5, repeats=5,
    replicas=(1, 5, 10, 20), scores=((37_322, 50), (14_340, 717)),
    whole=("--preset", "sun", "--select", "last"),
    matmul=8192, copied=2**28,
)  # fmt: skip

CPU = replace(
    SUN,
    name="CPU",
    told="smaller than SUN, for a processor: features of 512 and hidden layers of 1024 units instead of 2048 "
    "and 4096, 2000 images, 49 regions",
    width=512, hidden=1024, images=2000, per_class=50, regions=49, stored=512,
    iterations=2, stage1_iterations=4, classifier_epochs=2, repeats=5, replicas=(1, 3),
    whole=(
        "--preset", "sun", "--select", "last", "--set", "dataset.scale=0.05", "--set", "dataset.grid=7",
        "--set", "dataset.channels=512", "--set", "generator.hidden=512", "--set", "generator.per_class=20",
        "--set", "embedding.stage1.epochs=1", "--set", "embedding.stage2.epochs=1", "--epochs", "2",
        "--set", "classifier.epochs=5",
    ),
    matmul=1024, copied=2**24,
)  # fmt: skip

TINY = replace(
    CPU,
    name="TINY",
    told="of no meaning: a test of the suite itself",
    width=16, hidden=24, attributes=6, seen=8, unseen=3, images=40, per_class=3, regions=9, stored=32,
    batch=8, iterations=1, stage1_iterations=1, classifier_epochs=1, repeats=1, replicas=(1, 2),
    scores=((200, 5), (100, 20)),
    whole=(
        "--select", "last", "--set", "dataset.scale=0.005", "--set", "dataset.grid=2", "--set",
        "dataset.channels=16", "--set", "generator.hidden=8", "--set", "generator.per_class=2", "--epochs",
        "1", "--set", "embedding.stage1.epochs=1", "--set", "embedding.stage2.epochs=1",
        "--set", "classifier.epochs=1",
    ),
    matmul=64, copied=2**16,
)  # fmt: skip


def sizes_for(device: str, quick: bool) -> Sizes:
    """The sizes for a device, with fewer repetitions where it has to be quick."""
    sizes = SUN if device == "cuda" else CPU
    return replace(sizes, name=f"{sizes.name}, quick", repeats=3) if quick else sizes

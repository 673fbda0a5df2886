"""CLIP's zero-shot rule (Radford et al., ICML 2021): an image belongs to the class whose text is nearest to
it.

With f(x), the image tower's vector, and g(c), the mean of the text tower's vectors of c's prompts (section
3.1.4), both of unit length (section 3.1.2)::

    p(c | x) = softmax_c( scale * <f(x), g(c)> )

f(x) are features that ``zslbench data extract`` writes with ``extractor.output=embedding``, and g(c) the
class semantics that ``zslbench data semantics`` writes with the same model. Nothing is trained, and seen and
unseen classes are treated alike: the method only combines existing components.
"""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Method, hookimpl

SCALE = 100.0
"""exp(t) of the released models, the bound of the learned scale (section 2.5). It changes probabilities, not
predictions."""


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    yield Method(
        name="clip",
        embedding="identity",
        classifier="attribute-scores",
        group="embedding",
        summary="CLIP's zero-shot rule: the nearest class text, by features and semantics of one CLIP model",
        paper="Radford et al., ICML 2021",
        settings={
            "embedding.normalize": "l2",
            "classifier.similarity": "cosine",
            "classifier.scale": SCALE,
        },
    )

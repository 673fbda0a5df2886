"""Components that many methods share: the identity and pooled embeddings, and classifiers."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, hookimpl


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="embedding",
        name="identity",
        target="zslbench_common.embeddings:Identity",
        settings="zslbench_common.settings:IdentitySettings",
        summary="The data set's global features, scaled",
    )
    yield Component(
        kind="embedding",
        name="pooled",
        target="zslbench_common.embeddings:Pooled",
        settings="zslbench_common.settings:IdentitySettings",
        summary="The mean over an image's region features, scaled",
    )
    yield Component(
        kind="classifier",
        name="softmax",
        target="zslbench_common.softmax:Softmax",
        settings="zslbench_common.settings:SoftmaxSettings",
        summary="One linear layer trained with cross-entropy on real and synthetic features",
        paper="Xian et al., CVPR 2018",
    )
    yield Component(
        kind="classifier",
        name="attribute-scores",
        target="zslbench_common.attribute_scores:AttributeScores",
        settings="zslbench_common.settings:AttributeScoresSettings",
        summary="Attribute scores against class semantics: inner product or cosine, of one head or several",
    )
    yield Component(
        kind="classifier",
        name="bilinear-scores",
        target="zslbench_common.bilinear_scores:BilinearScores",
        settings="zslbench_common.settings:BilinearScoresSettings",
        summary="Compatibility of features with class semantics by one matrix, trained with cross-entropy",
    )

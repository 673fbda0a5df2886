"""The six data sets of Xian et al. (TPAMI 2018), proposed split version 2, with the counts they must have."""

from __future__ import annotations

from dataclasses import dataclass, replace

from zslbench.data import (
    HOW_TO_GET,
    DataRequest,
    Dataset,
    ExpectedCounts,
    RegionsWanted,
    dataset_folder,
    fingerprint,
    read_xlsa17,
)
from zslbench.errors import UnknownName, did_you_mean
from zslbench.interfaces import DatasetSource


@dataclass(frozen=True)
class Official:
    """One official data set: its folder in the archive, its counts, and what is known of its split."""

    folder: str
    counts: ExpectedCounts
    fingerprints: tuple[str, str, str]
    """Of trainval, test_seen and test_unseen, as in public copies of the proposed split."""
    citation: str
    semantics_kind: str = "attributes"


# Counts: images, classes, unseen classes, attributes, trainval, test_seen, test_unseen.
OFFICIAL = {
    "cub": Official(
        "CUB",
        ExpectedCounts(11788, 200, 50, 312, 7057, 1764, 2967, sentence=1024),
        ("251bff0e5a54", "b0382faf3293", "dc55f2a77020"),
        "Wah et al., The Caltech-UCSD Birds-200-2011 Dataset, 2011",
    ),
    "sun": Official(
        "SUN",
        ExpectedCounts(14340, 717, 72, 102, 10320, 2580, 1440),
        ("9629782b44d8", "8d13037a74ac", "46ec8f035d83"),
        "Patterson and Hays, SUN Attribute Database, CVPR 2012",
    ),
    "awa1": Official(
        "AWA1",
        ExpectedCounts(30475, 50, 10, 85, 19832, 4958, 5685),
        ("db46f80915d8", "f8a51b42fcbe", "2c97a24f41cb"),
        "Lampert et al., Attribute-Based Classification for Zero-Shot Visual Categorization, TPAMI 2014",
    ),
    "awa2": Official(
        "AWA2",
        ExpectedCounts(37322, 50, 10, 85, 23527, 5882, 7913),
        ("e4df08f0f992", "dfc2379830ec", "8b0ae2ed0694"),
        "Xian et al., Zero-Shot Learning - A Comprehensive Evaluation, TPAMI 2018",
    ),
    "apy": Official(
        "APY",
        ExpectedCounts(15339, 32, 12, 64, 5932, 1483, 7924),
        ("4108297135fd", "bbc9c12ad3cc", "adc17827951c"),
        "Farhadi et al., Describing Objects by their Attributes, CVPR 2009",
    ),
    "flo": Official(
        "FLO",
        ExpectedCounts(8189, 102, 20, 1024, 5631, 1403, 1155),
        ("53c404b71d37", "83f704e6b4ad", "1d5db8ec05eb"),
        "Nilsback and Zisserman, Automated Flower Classification, ICVGIP 2008; text: Reed et al., CVPR 2016",
        "text embedding",
    ),
}


class OfficialSource(DatasetSource):
    """Reads the official data set that the request names."""

    def load(self, request: DataRequest) -> Dataset:
        """Read the data set and hold its counts against the official ones.

        Another split than the published one is no error but is noted: its results cannot be compared.
        """
        name = request.name.lower()
        if name not in OFFICIAL:
            raise UnknownName(f"no official data set '{request.name}', {did_you_mean(name, OFFICIAL)}")
        official = OFFICIAL[name]
        dataset = read_xlsa17(
            dataset_folder(request, official.folder, HOW_TO_GET),
            name=name,
            features=request.features,
            semantics=request.semantics or "att",
            expected=official.counts,
            regions=RegionsWanted.of(request, HOW_TO_GET),
        )
        split = dataset.split
        found = (fingerprint(split.trainval), fingerprint(split.test_seen), fingerprint(split.test_unseen))
        notes = dataset.notes
        if found != official.fingerprints:
            published = ", ".join(official.fingerprints)
            notes += (
                f"the split is not the published one: fingerprints {', '.join(found)}, published {published}",
            )
        kind = "text embedding" if dataset.semantics_name == "sentence" else official.semantics_kind
        extra = {
            **dataset.extra,
            "citation": official.citation,
            "semantics_kind": kind,
            "licence": "research use",
        }
        # res101 are ImageNet features, not fine-tuned (Xian et al., section 4); of others nothing is known.
        finetuned = False if dataset.features_name == "res101" else None
        return replace(dataset, notes=notes, extra=extra, finetuned=finetuned)

"""The six data sets of Xian et al. (TPAMI 2018), proposed split version 2; counts are the catalogue's."""

from __future__ import annotations

from dataclasses import replace

from zslbench.data import read_xlsa17, require_folder
from zslbench.evaluation import fingerprint
from zslbench.plugin import DataRequest, Dataset, DatasetSource
from zslbench_data import catalogue, how_to_get, how_to_get_region_features


class OfficialSource(DatasetSource):
    """Reads the official data set that the request names."""

    def load(self, request: DataRequest) -> Dataset:
        """Read the data set and compare its counts with the official ones.

        Another split than the published one is not an error but a note: its results cannot be compared.
        """
        name = request.name.lower()
        entry = catalogue().entry(name)
        with_regions = request.wants_regions
        advice = how_to_get_region_features(name, request.root) if with_regions else how_to_get(name)
        dataset = read_xlsa17(
            require_folder(request.root, entry.folder, request.name, advice),
            name=name,
            features=request.features,
            semantics=request.semantics or "att",
            expected=entry.counts,
            with_regions=with_regions,
            regions=request.regions,
            regions_advice=advice,
            images=request.images,
            image_size=request.image_size,
        )
        found = tuple(map(fingerprint, dataset.split.parts.values()))
        notes = dataset.notes
        if found != entry.split:
            published = ", ".join(entry.split)
            text = f"the split is not the published one: fingerprints {', '.join(found)}"
            notes += (f"{text}, published {published}",)
        kind = "text embedding" if dataset.semantics_name == "sentence" else entry.semantics
        extra = {"citation": entry.citation, "semantics_kind": kind, "licence": entry.licence}
        # res101 are ImageNet features, not fine-tuned (Xian et al., section 4); of others nothing is known.
        finetuned = False if dataset.features_name == "res101" else None
        return replace(dataset, notes=notes, extra={**dataset.extra, **extra}, finetuned=finetuned)

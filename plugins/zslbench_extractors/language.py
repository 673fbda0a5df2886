"""Text towers of the CLIP and SigLIP models of transformers: texts to vectors in the space of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.errors import DataError, SettingsError
from zslbench.training import unit
from zslbench_extractors.vision import JOINT_MODELS, load_network, pooled, read_json
from zslbench_extractors.weights import CONFIG, TOKENIZER, digest_of, library, model_folder

_BATCH = 64


class TextEncoder:
    """The text tower of a model.

    Args:
        model: its name on the hub, or a folder with its configuration, tokenizer and weights.
        device: where it computes.

    Raises:
        MissingData: files are not on this machine; names them and where to put them.
        DataError: they cannot be read, or lack weights.
        SettingsError: another kind of model.
    """

    def __init__(self, model: str, device: torch.device | str = "cpu") -> None:
        folder = model_folder(model, "--text-encoder", (CONFIG, TOKENIZER))
        kind = str(read_json(folder / CONFIG).get("model_type"))
        if kind not in JOINT_MODELS:
            known = ", ".join(JOINT_MODELS)
            raise SettingsError(f"{folder}: a model of type '{kind}'; texts are encoded by {known}")
        self._network = load_network(folder, JOINT_MODELS[kind]).eval().requires_grad_(False).float()
        self._network.to(device)
        try:
            self._tokenizer: Any = library().AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # several libraries raise errors of their own
            raise DataError(folder, [f"its tokenizer cannot be read ({type(error).__name__})"]) from None
        self.longest = int(self._network.config.text_config.max_position_embeddings)
        """Most tokens of a text; longer texts are truncated."""
        # SigLIP was trained on texts padded to the full length, without an attention mask.
        self._padded = kind == "siglip"
        self.about = {
            "model": Path(model).expanduser().name if Path(model).expanduser().is_dir() else model,
            "model_type": kind,
            "weights_sha256": digest_of(folder),
            "logit_scale": float(self._network.logit_scale.exp()),
        }
        """What identifies it, as JSON data; ``logit_scale``: the factor of cosines in its training loss."""

    def encode(self, texts: Sequence[str]) -> Float[Tensor, "texts d"]:
        """A vector of unit length for each text."""
        parts = []
        for start in range(0, len(texts), _BATCH):
            tokens = self._tokens(texts[start : start + _BATCH])
            with torch.no_grad():
                parts.append(unit(pooled(self._network.get_text_features(**tokens))))
        return torch.cat(parts)

    def too_long(self, texts: Sequence[str]) -> list[str]:
        """The texts with more than ``longest`` tokens."""
        lengths = map(len, self._tokenizer(list(texts), truncation=False, verbose=False)["input_ids"])
        return [text for text, length in zip(texts, lengths, strict=True) if length > self.longest]

    def _tokens(self, texts: Sequence[str]) -> dict[str, Tensor]:
        found = self._tokenizer(
            list(texts),
            max_length=self.longest,
            truncation=True,
            padding="max_length" if self._padded else "longest",
            return_tensors="pt",
        )
        names = ("input_ids",) if self._padded else ("input_ids", "attention_mask")
        return {name: found[name].to(self._network.device) for name in names}

"""Tiny randomly initialised vision models in folders as on the hub, without network or cached weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

MODELS = ("resnet", "vit", "dinov2", "dinov2_with_registers", "clip")
SIZE = 32
NORMALISATION = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.25]}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test uses the network or finds weights on this machine."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny(kind: str) -> Any:
    """A model of this type, as its library initialises it."""
    import transformers

    common = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": SIZE}
    torch.manual_seed(len(kind))
    if kind == "resnet":
        shape: Any = {"embedding_size": 8, "hidden_sizes": [16, 32, 32, 64], "depths": [1, 1, 2, 1]}
        return transformers.ResNetModel(transformers.ResNetConfig(**shape))
    if kind == "vit":
        config = transformers.ViTConfig(**common, patch_size=8, intermediate_size=48)
        return transformers.ViTModel(config)  # with a pooling layer, as on the hub
    if kind == "dinov2":
        return transformers.Dinov2Model(transformers.Dinov2Config(**common, patch_size=8))
    if kind == "dinov2_with_registers":
        registers = transformers.Dinov2WithRegistersConfig(**common, patch_size=8, num_register_tokens=3)
        return transformers.Dinov2WithRegistersModel(registers)
    vision = {**common, "patch_size": 8, "intermediate_size": 48}
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.CLIPConfig(
        text_config={**text, "vocab_size": 20, "max_position_embeddings": 5}, vision_config=vision
    )
    return transformers.CLIPModel(config)  # text and vision, as on the hub


def joint(kind: str, folder: Path) -> Path:
    """A CLIP or SigLIP model with its tokenizer, whose tokens are letters; both towers map to 24 numbers."""
    import transformers

    letters = [*"abcdefghijklmnopqrstuvwxyz.,-"]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = transformers.CLIPTokenizer(
        vocab={token: row for row, token in enumerate(tokens)}, merges=[], model_max_length=32
    )
    tokenizer.save_pretrained(folder)
    common = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}
    ends = {"bos_token_id": len(tokens) - 2, "eos_token_id": len(tokens) - 1, "pad_token_id": len(tokens) - 1}
    text = {**common, **ends, "vocab_size": len(tokens), "max_position_embeddings": 32}
    vision = {**common, "image_size": SIZE, "patch_size": 8}
    torch.manual_seed(len(kind))
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
        return save(transformers.CLIPModel(config), folder)
    return save(
        transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=vision)), folder
    )


def save(model: Any, folder: Path, **processing: Any) -> Path:
    """The folder of a model, as those on the hub."""
    with torch.no_grad():  # as if it had been trained: no bias or norm is what initialisation makes it
        random = torch.Generator().manual_seed(5)
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=random))
        for name, buffer in model.named_buffers():
            if name.endswith("running_var"):
                buffer.mul_(0.5)
    model.save_pretrained(folder)
    given = {"do_normalize": True, "resample": 2, "size": SIZE, **NORMALISATION, **processing}
    (folder / "preprocessor_config.json").write_text(json.dumps(given))
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each type of model."""
    root = tmp_path_factory.mktemp("models")
    return {kind: save(tiny(kind), root / f"tiny-{kind}") for kind in MODELS}

"""``zslbench data semantics``: class semantics from texts."""

from __future__ import annotations

from pathlib import Path

import click

from zslbench.cli import data_root_option, note, options_of, sets_environment
from zslbench.output import echo, quiet
from zslbench_data.cli.sets import note_shadowed


@click.command()
@click.argument("dataset")
@click.option(
    "--text-encoder",
    "model",
    required=True,
    metavar="MODEL",
    help="CLIP or SigLIP model of transformers: a name on the Hugging Face hub, or a folder.",
)
@click.option(
    "--prompt",
    "prompts",
    multiple=True,
    metavar="TEXT",
    help="Text with {} for the class's name; may be repeated (averaged).  [default: 'a photo of a {}.']",
)
@click.option(
    "--descriptions",
    type=click.Path(path_type=Path),
    metavar="CSV",
    help="CSV file with columns class and text; a class's texts are averaged, including those of --prompt.",
)
@click.option("--name", required=True, help="Name of the semantics, for --semantics.")
@click.option("--force", is_flag=True, help="Replace semantics of this name.")
@options_of("device", "threads")
@data_root_option
@click.option(
    "--offline",
    is_flag=True,
    expose_value=False,
    callback=sets_environment("HF_HUB_OFFLINE"),  # the libraries of models obey it
    help="Do not download weights.",
)
def semantics(
    dataset: str,
    model: str,
    prompts: tuple[str, ...],
    descriptions: Path | None,
    name: str,
    force: bool,
    device: str,
    threads: int | None,
    data_root: Path | None,
) -> None:
    """Encode the class names of DATASET, or descriptions of them, as named class semantics.

    Writes <data root>/<DS>/semantics/NAME.npy, a vector of unit length per class, for --semantics NAME.
    """
    from zslbench.data import data_root as choose_root, require_folder
    from zslbench.experiment import applied, choose_mode
    from zslbench_data.download.catalogue import catalogue
    from zslbench_data.words.texts import write_text_semantics
    from zslbench_extractors.language import TextEncoder

    entry = catalogue().datasets.get(dataset.lower())
    folder = require_folder(choose_root(data_root), entry.folder if entry else dataset, dataset)
    note_shadowed(dataset, data_root)
    with applied(choose_mode(device, threads)) as where:
        encoder = TextEncoder(model, where)
        text, notes = write_text_semantics(folder, name, encoder, prompts, descriptions, force=force)
    for one in notes:
        note(one)
    echo(f"{dataset} semantics {name}: {text}")
    if not quiet():
        echo("next:", f"  zslbench run METHOD --dataset {dataset} --semantics {name}")

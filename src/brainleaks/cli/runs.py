"""The commands on finished runs: to judge by, export, compare and report them."""

from pathlib import Path

import click

from brainleaks.cli.options import DEVICE, JSON, PATH
from brainleaks.cli.printing import echo, print_attacks, print_comparison, print_json


@click.command()
@click.argument("file", type=PATH)
@click.option("--run", "run_dir", type=PATH, required=True, help="A finished run's folder.")
@DEVICE
@JSON
def evaluate(file: Path, run_dir: Path, device: str, as_json: bool) -> None:
    """Judge the reconstructions in FILE by a run's evaluators.

    FILE is safetensors with one tensor, or a plain tensor written by torch.save: (classes, T, 1, D)
    spikes or spike probabilities, or (classes, 1, D) images.
    """
    from brainleaks.runs.rejudge import evaluate_file

    results = evaluate_file(file, run_dir, device=device)
    if as_json:
        print_json(results)
    else:
        print_attacks(results["attacks"])


@click.command()
@click.argument("run_dir", metavar="DIR", type=PATH)
@click.option(
    "--format", "layout", type=click.Choice(["release"]), default="release", show_default=True
)
@click.option("--out", type=PATH, help="Folder to write to; DIR/release.")
def export(run_dir: Path, layout: str, out: Path | None) -> None:
    """Write a run's weights and reconstructions in another format, and list the files.

    The release is the paper's: state dicts DATASET_SNN_Weights_Target and DATASET_SNN_Weights_Eval
    (the study's first evaluator; further ones add their name), and reconstructions
    DATASET_ANN_Inverted, DATASET_SNN_Inverted_BL1 and DATASET_SNN_Inverted_BL2 (the study's first
    of each attack; further ones are DATASET_SNN_Inverted_NAME), all written by torch.save.
    """
    from brainleaks.runs.release import export as export_release

    for path in export_release(run_dir, out):
        echo(path)


@click.command()
@click.argument("runs", metavar="RUN RUN...", nargs=-1, type=PATH)
@click.option(
    "--out", type=PATH, default=Path("compare.html"), show_default=True, help="File of the page."
)
@JSON
def compare(runs: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Say on one page what finished runs of one data set leak beside each other.

    Runs of one study with different seeds are pooled; studies are compared by paired statistics.
    """
    from brainleaks.report import write_comparison

    said = write_comparison(runs, out)
    if as_json:
        print_json(said)
    else:
        print_comparison(said, out)


@click.command()
@click.argument("run_dir", metavar="DIR", type=PATH)
def report(run_dir: Path) -> None:
    """Make the report of a finished run again."""
    from brainleaks.report import write_report

    echo(write_report(run_dir))

"""The commands on finished runs: to judge by, export, compare and report them."""

from pathlib import Path

import click

from brainleaks.cli.options import DEVICE, JSON, PATH
from brainleaks.cli.printing import echo, print_attacks, print_comparison, print_json


@click.command()
@click.argument("file", type=PATH)
@click.option("--run", "run_dir", type=PATH, required=True, help="Folder of a finished run.")
@DEVICE
@JSON
def evaluate(file: Path, run_dir: Path, device: str, as_json: bool) -> None:
    """Evaluate the reconstructions in FILE with a run's evaluators.

    FILE is a safetensors file with one tensor, or a plain tensor saved by torch.save: spikes or
    spike probabilities of shape (classes, T, 1, D), or images of shape (classes, 1, D).
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
@click.option("--out", type=PATH, help="Output folder (default: DIR/release).")
def export(run_dir: Path, layout: str, out: Path | None) -> None:
    """Export a run's weights and reconstructions in the paper's format, and list the files.

    All files are written by torch.save: the state dicts DATASET_SNN_Weights_Target and
    DATASET_SNN_Weights_Eval (the first evaluator; further ones append their name), and the
    reconstructions DATASET_ANN_Inverted, DATASET_SNN_Inverted_BL1 and DATASET_SNN_Inverted_BL2 (the
    first of each attack; further ones are DATASET_SNN_Inverted_NAME).
    """
    from brainleaks.runs.release import export as export_release

    for path in export_release(run_dir, out):
        echo(path)


@click.command()
@click.argument("runs", metavar="RUN RUN...", nargs=-1, type=PATH)
@click.option(
    "--out", type=PATH, default=Path("compare.html"), show_default=True, help="Output file."
)
@JSON
def compare(runs: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Compare what finished runs on one data set leak, on one page.

    Runs of the same study with different seeds are pooled. Studies are compared with paired tests.
    """
    from brainleaks.report import write_comparison

    said = write_comparison(runs, out)
    if as_json:
        print_json(said)
    else:
        print_comparison(said, out)


@click.command()
@click.argument("run_dir", metavar="DIR", type=PATH)
@click.option(
    "--format",
    "layout",
    type=click.Choice(["html", "markdown"]),
    default="html",
    show_default=True,
    help="html: write report.html and its figures. markdown: print the verdict and its levels, for "
    "a summary of continuous integration.",
)
def report(run_dir: Path, layout: str) -> None:
    """Regenerate the report of a finished run, or print its verdict."""
    from brainleaks.report import verdict_as_markdown, write_report

    if layout == "markdown":
        echo(verdict_as_markdown(run_dir).rstrip())
    else:
        echo(write_report(run_dir))

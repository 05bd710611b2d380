"""The command that runs a study, over one seed or several."""

from pathlib import Path
from typing import Any

import click

from brainleaks import InputError
from brainleaks.cli import completion
from brainleaks.cli.options import (
    DATA_DIR,
    DEVICE,
    JSON,
    MOST_SEEDS,
    PATH,
    SEED,
    TRUST,
    command_line,
    keep_out_of,
)
from brainleaks.cli.printing import echo, print_json, print_results, say


@click.command()
@click.argument("study", metavar="PRESET_OR_FILE", shell_complete=completion.studies)
@SEED
@click.option(
    "--seeds",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Run N seeds, starting at --seed, and write a table of means and intervals.",
)
@click.option(
    "--keep",
    is_flag=True,
    help="With --seeds: reuse runs of the same study and seed that the table already holds.",
)
@DATA_DIR
@click.option(
    "--out",
    type=PATH,
    help="Run folder (default: runs/NAME-seedN). With --seeds, the folder for the table (default: "
    "runs/NAME-seeds; for a collection, ./docs).",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change a field of the study by its path, e.g. target.training.epochs=5.",
)
@click.option(
    "--target-weights",
    type=PATH,
    metavar="FILE",
    help="Attack a target with the weights in FILE (a state dict, as safetensors or by torch.save) "
    "instead of training one. If FILE holds snnTorch's neuron parameters, they must match the "
    "study.",
)
@TRUST
@DEVICE
@JSON
def run(
    study: str,
    seed: int,
    seeds: int | None,
    keep: bool,
    data_dir: Path | None,
    out: Path | None,
    settings: tuple[str, ...],
    target_weights: Path | None,
    trust: bool,
    device: str,
    as_json: bool,
) -> None:
    """Run a study: train, attack, evaluate and report. Finished stages are reused.

    PRESET_OR_FILE may also name a collection of presets; those whose data is available are run:
    "paper" (the paper's study), "strongest" (our strongest attacks), "black-box" (attacks that see
    only outputs), "prior" (attacks that search a generative prior), "defences" (what each defence
    keeps from attackers, and what it costs).
    """
    from brainleaks.campaigns.publish import publish
    from brainleaks.pipeline import run_study
    from brainleaks.report import write_report
    from brainleaks.runs import folder
    from brainleaks.studies import load_study
    from brainleaks.studies.reading import COLLECTIONS

    how: dict[str, Any] = {"data_dir": data_dir, "device": device, "command": command_line()}
    if seeds is not None or study in COLLECTIONS:
        if target_weights is not None:
            raise InputError("--target-weights: applies to a single target; leave --seeds out.")
        chosen = _seeds(seed, seeds or 1)
        table = publish(
            study, chosen, settings=settings, trust=trust, out=out, keep=keep, say=say, **how
        )
        if as_json:
            click.echo(table.with_suffix(".json").read_text("utf-8"))
        else:
            echo(table)
        return
    if keep:
        raise InputError("--keep: applies to a table of several seeds; add --seeds.")
    resolved = load_study(study, settings, trust=trust)
    place = out or Path("runs") / f"{resolved.name}-seed{seed}"
    keep_out_of(place, "--target-weights", target_weights)
    folder.prepare(place, resolved, seed)
    outcome = run_study(resolved, seed=seed, target_weights=target_weights, **how)
    results = folder.write(outcome, place, write_report)
    if as_json:
        print_json(results)
    else:
        print_results(results)
        echo(f"report: {place / 'report.html'}")


def _seeds(first: int, count: int) -> range:
    last = first + count - 1
    if last >= MOST_SEEDS:
        raise InputError(f"--seeds: {last} is too large; expected at most {MOST_SEEDS - 1}.")
    return range(first, last + 1)

"""The command line: arguments in, text or JSON out."""

import difflib
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from brainleaks import InputError, __version__, keep_freed_memory
from brainleaks.results import headline

_MOST_SEEDS = 2**31
#: The networks that an attack is for, by its ``spiking``.
_KINDS = {True: "spiking", False: "ordinary", None: "either"}
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, nothing else.")
_DEVICE = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
_DATA_DIR = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder that holds the data; default BRAINLEAKS_DATA, else the user's cache.",
)


def main() -> None:
    """Entry point: a user's mistake is one sentence on stderr and exit status 2."""
    keep_freed_memory()
    try:
        status = cli(standalone_mode=False)
    except InputError as error:
        _fail(str(error))
    except click.exceptions.Abort:
        click.echo("brainleaks: interrupted; the same command goes on from here.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        hint = " See 'brainleaks --help'." if isinstance(error, click.UsageError) else ""
        _fail(error.format_message() + hint)
    except OSError as error:
        _fail(f"{error.filename or 'a file'}: {error.strerror or error}.")
    else:
        sys.exit(status or 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Reconstruct what a neural network was trained on, and judge how much it leaks."""


@cli.command("list")
@_JSON
def list_command(as_json: bool) -> None:
    """Show the presets, data sets and attacks."""
    from brainleaks.attacks import ATTACKS
    from brainleaks.data import DATASETS
    from brainleaks.publish import PAPER
    from brainleaks.study import load_study, preset_names

    presets = {name: load_study(name).description for name in preset_names()}
    presets[PAPER] = "Every one of these that is the paper's, as far as its data is at hand."
    listing: dict[str, dict[str, Any]] = {
        "presets": presets,
        "datasets": {
            name: (source.__doc__ or "").partition("\n")[0] for name, source in DATASETS.items()
        },
        "attacks": {
            name: {
                "access": attack.access,
                "networks": _KINDS[attack.spiking],
                "description": (attack.__doc__ or "").partition("\n")[0],
            }
            for name, attack in ATTACKS.items()
        },
    }
    if as_json:
        _print_json(listing)
        return
    for title in ("presets", "datasets"):
        click.echo(f"{title}")
        for name, text in listing[title].items():
            click.echo(f"  {name:<19} {text}")
    click.echo("attacks (access that each needs, networks that it attacks)")
    for name, facts in listing["attacks"].items():
        click.echo(f"  {name:<19} {facts['access']}, {facts['networks']}: {facts['description']}")


@cli.command()
@click.argument("study", metavar="PRESET_OR_FILE")
@click.option("--seed", type=click.IntRange(0, _MOST_SEEDS - 1), default=0, show_default=True)
@click.option(
    "--seeds",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Run N seeds, from --seed on, and write means and intervals over them.",
)
@_DATA_DIR
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Run folder; default runs/NAME-seedN. With several seeds the folder of the table; default "
    "runs/NAME-seeds, and docs for paper.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change a field of the study, by its path: target.training.epochs=5.",
)
@click.option(
    "--target-weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Attack a target with the weights in FILE instead of training one: a state dict, in "
    "safetensors or written by torch.save, such as the paper's release. What snnTorch keeps of its "
    "neurons may be in it, and must agree with the study's.",
)
@_DEVICE
@_JSON
def run(
    study: str,
    seed: int,
    seeds: int | None,
    data_dir: Path | None,
    out: Path | None,
    settings: tuple[str, ...],
    target_weights: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Train, attack, judge and report; what was done before is not done again.

    The preset "paper" stands for all presets of the paper's study whose data is at hand.
    """
    from brainleaks.publish import PAPER, publish
    from brainleaks.report import write_report
    from brainleaks.study import folder, load_study, run_study

    command = shlex.join(["brainleaks", *sys.argv[1:]])
    if seeds is not None or study == PAPER:
        if target_weights is not None:
            raise InputError("--target-weights: one target has no seeds; leave --seeds out.")
        last = seed + (seeds or 1)
        if last > _MOST_SEEDS:
            raise InputError(
                f"--seeds: {last - 1} is too large a seed; expected up to {_MOST_SEEDS - 1}."
            )
        table = publish(
            study,
            range(seed, last),
            settings=settings,
            data_dir=data_dir,
            out=out,
            device=_device(device),
            command=command,
            say=lambda text: click.echo(text, err=True),
        )
        click.echo(table.with_suffix(".json").read_text("utf-8") if as_json else table)
        return
    resolved = load_study(study, settings)
    place = out or Path("runs") / f"{resolved.name}-seed{seed}"
    _keep_out_of(place, "--target-weights", target_weights)
    folder.prepare(place, resolved, seed)
    outcome = run_study(
        resolved,
        seed=seed,
        data_dir=data_dir,
        device=_device(device),
        command=command,
        target_weights=target_weights,
    )
    results = folder.write(outcome, place, write_report)
    if as_json:
        _print_json(results)
    else:
        _print_results(results)
        click.echo(f"report: {place / 'report.html'}")


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", value or "")
    if value is not None and found is None:
        raise InputError(
            f"--sensor: found {value!r}; expected the height and the width, such as 34x34."
        )
    return (int(found[1]), int(found[2])) if found else None


@cli.command()
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option(
    "--data",
    "data_path",
    required=True,
    metavar="PATH",
    help="A folder with one sub-folder a class, or with such folders in train and test; an .npz; "
    "or module:function, which returns a torch data set, or one to train and one to test.",
)
@click.option("--framework", help="That the model is of; by default it is told by the model.")
@click.option(
    "--factory",
    metavar="MODULE:FUNCTION",
    help="Builds the network whose weights MODEL holds; without MODEL, the whole model. Arguments "
    "called shape and classes are given the data's.",
)
@click.option(
    "--dt", type=click.FloatRange(0, min_open=True), help="NIR: a time step, in its units."
)
@click.option("--reset", help="NIR: how neurons are reset.")
@click.option(
    "--holdout",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Of each class, where the data has no test part.",
)
@click.option("--classes", metavar="NAME,NAME,...", help="Classes in the order of the model's.")
@click.option("--channels", type=click.Choice(["grey", "rgb"]), help="Of images.")
@click.option(
    "--encoding",
    type=click.Choice(["rate", "latency", "direct", "none"]),
    help="How images become what the model takes; by default rate, and none for torch.",
)
@click.option("--steps", type=click.IntRange(1, 20_000), help="Time steps, or frames of events.")
@click.option(
    "--sensor", metavar="HxW", callback=_size, help="That events lie on; by default as they need."
)
@click.option("--time-unit", type=click.Choice(["us", "ms", "s"]), default="us")
@click.option("--frame-us", type=click.IntRange(1), help="Length of a frame of events.")
@click.option("--denoise-us", type=click.IntRange(1), help="Drop events without such neighbours.")
@click.option("--polarity", type=click.Choice(["first", "merged", "both"]), help="Of events.")
@click.option(
    "--access",
    type=click.Choice(["gradients", "scores", "labels"]),
    default="gradients",
    show_default=True,
    help="What the attacker may see.",
)
@click.option(
    "--attack", "attacks", multiple=True, metavar="NAME", help="By default all that suit."
)
@click.option("--twin", is_flag=True, help="Audit an ordinary network beside it, and compare.")
@click.option("--seed", type=click.IntRange(0, _MOST_SEEDS - 1), default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Run folder; runs/audit-DATA-seedN.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change a field of the audit's study, by its path: target.training.epochs=20.",
)
@click.option("--fail-on", type=click.Choice(["leak"]), help="Exit with status 1 on this verdict.")
@_DEVICE
@_JSON
def audit(
    model: Path | None,
    data_path: str,
    framework: str | None,
    factory: str | None,
    dt: float | None,
    reset: str | None,
    access: Any,
    attacks: tuple[str, ...],
    twin: bool,
    seed: int,
    out: Path | None,
    settings: tuple[str, ...],
    fail_on: str | None,
    device: str,
    as_json: bool,
    **reading: Any,
) -> int:
    """Say what a trained MODEL leaks of the data that it was trained on.

    It is attacked, and what comes back is judged beside controls by judges that are trained on the
    data. The exit status is 0, whether it leaks or not, unless --fail-on is given.
    """
    from brainleaks.audit import plan, run, run_twin, write
    from brainleaks.study import folder

    if model is None and factory is None:
        raise InputError("MODEL: missing; name a file, or give --factory, which builds the model.")
    planned = plan(
        model,
        _own_data(data_path, reading),
        framework=framework,
        factory=factory,
        dt=dt,
        reset=reset,
        inputs=_inputs(reading),
        access=access,
        attacks=attacks,
        settings=settings,
        twin=twin,
    )
    place = out or Path("runs") / f"{planned.study.name}-seed{seed}"
    _keep_out_of(place, "MODEL", model)
    _keep_out_of(place, "--data", Path(data_path))
    folder.prepare(place, planned.study, seed)
    how: dict[str, Any] = {
        "seed": seed,
        "device": _device(device),
        "command": shlex.join(["brainleaks", *sys.argv[1:]]),
    }
    outcome = run(planned, **how)
    results = write(outcome, place, run_twin(planned, **how) if twin else None)
    if as_json:
        _print_json(results)
    else:
        _print_audit(results, place)
    return int(fail_on == results["verdict"]["verdict"])


def _own_data(path: str, reading: dict[str, Any]) -> Any:
    from brainleaks.data.own import OwnData

    classes = reading["classes"]
    return OwnData(
        path,
        classes=tuple(classes.split(",")) if classes else None,
        **{name: reading[name] for name in ("holdout", "channels", "sensor", "time_unit")},
    )


def _inputs(reading: dict[str, Any]) -> Any:
    from brainleaks.study.plan import Inputs

    names = ("encoding", "steps", "frame_us", "denoise_us", "polarity")
    return Inputs(**{name: reading[name] for name in names})


def _keep_out_of(place: Path, option: str, given: Path | None) -> None:
    """Refuse what lies in the run folder, which is replaced."""
    if given is not None and place.resolve() in (given.resolve(), *given.resolve().parents):
        raise InputError(
            f"{option}: {given} lies in {place}, which this run replaces; choose another --out."
        )


def _print_audit(results: dict[str, Any], place: Path) -> None:
    target = results["target"]
    click.echo(results["description"])
    form = f"{target['framework']}, lowered" if target["lowered"] else target["framework"]
    click.echo(f"model ({form}): test accuracy {target['test_accuracy']:.4f}")
    adapter = target["adapter"]
    if why := adapter.get("why_not_lowered"):
        click.echo(f"  It was run as it is: {why}")
    for note in adapter.get("notes", ()):
        click.echo(f"  Note: {note}")
    _print_judgement(results, always_why=True)
    click.echo(f"report: {place / 'report.html'}")
    if "twin" in results:
        twin = results["twin"]
        click.echo(f"twin (ordinary): test accuracy {twin['target']['test_accuracy']:.4f}")
        click.echo(twin["verdict"]["sentence"])
        for sentence in results["comparison"]["sentences"] or ["No difference is shown."]:
            click.echo(sentence)
        click.echo(f"comparison: {place / 'compare.html'}")


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--run",
    "run_dir",
    type=click.Path(path_type=Path),
    required=True,
    help="A finished run's folder.",
)
@_DEVICE
@_JSON
def evaluate(file: Path, run_dir: Path, device: str, as_json: bool) -> None:
    """Judge the reconstructions in FILE by a run's evaluators.

    FILE is safetensors with one tensor, or a plain tensor written by torch.save: (classes, T, 1, D)
    spikes or spike probabilities, or (classes, 1, D) images.
    """
    from brainleaks.study.judging import evaluate_file

    results = evaluate_file(file, run_dir, device=_device(device))
    if as_json:
        _print_json(results)
    else:
        _print_attacks(results["attacks"])


@cli.command()
@click.argument("run_dir", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--format", "layout", type=click.Choice(["release"]), default="release", show_default=True
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; DIR/release.")
def export(run_dir: Path, layout: str, out: Path | None) -> None:
    """Write a run's weights and reconstructions in another format, and list the files.

    The release is the paper's: state dicts DATASET_SNN_Weights_Target and DATASET_SNN_Weights_Eval
    (the study's first evaluator; further ones add their name), and reconstructions
    DATASET_ANN_Inverted, DATASET_SNN_Inverted_BL1 and DATASET_SNN_Inverted_BL2 (the study's first
    of each attack; further ones are DATASET_SNN_Inverted_NAME), all written by torch.save.
    """
    from brainleaks.study.release import export as export_release

    for path in export_release(run_dir, out):
        click.echo(path)


@cli.command()
@click.argument("runs", metavar="RUN RUN...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("compare.html"),
    show_default=True,
    help="File of the page.",
)
@_JSON
def compare(runs: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Say on one page what finished runs of one data set leak beside each other.

    Runs of one study with different seeds are pooled; studies are compared by paired statistics.
    """
    from brainleaks.report import write_comparison

    said = write_comparison(runs, out)
    if as_json:
        _print_json(said)
        return
    for sentence in said["sentences"] or ["No difference is shown."]:
        click.echo(sentence)
    click.echo(f"comparison: {out}")


@cli.command()
@click.argument("run_dir", metavar="DIR", type=click.Path(path_type=Path))
def report(run_dir: Path) -> None:
    """Make the report of a finished run again."""
    from brainleaks.report import write_report

    click.echo(write_report(run_dir))


@cli.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1, type=click.Path(path_type=Path))
@_DATA_DIR
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("docs"),
    show_default=True,
    help="Folder of the table.",
)
@_DEVICE
def calibrate(runs: tuple[Path, ...], data_dir: Path | None, out: Path, device: str) -> None:
    """Count how often each verdict is given where the right one is known.

    Most are small audits of targets that cannot leak: an hour or two, which the same command goes
    on with when it was cut off. The verdicts of finished RUNs of trained targets are counted too.
    """
    from brainleaks.calibration import calibrate as calibrate_verdict

    table = calibrate_verdict(
        list(runs),
        data_dir=data_dir,
        out=out,
        device=_device(device),
        command=shlex.join(["brainleaks", *sys.argv[1:]]),
        say=lambda text: click.echo(text, err=True),
    )
    click.echo(table)


@cli.group()
def data() -> None:
    """Fetch and check data sets."""


@data.command()
@click.argument("name")
@_DATA_DIR
def fetch(name: str, data_dir: Path | None) -> None:
    """Download the data set NAME from its publisher unless it is there, and check it."""
    from brainleaks.data.describe import describe
    from brainleaks.data.files import data_folder

    source, folder = _source(name), data_folder(data_dir)
    source.fetch(folder)
    click.echo(describe(name, folder))


@data.command()
@click.argument("name")
@_DATA_DIR
def check(name: str, data_dir: Path | None) -> None:
    """Read the data set NAME, which must be there, and verify it."""
    from brainleaks.data.describe import describe
    from brainleaks.data.files import data_folder

    source, folder = _source(name), data_folder(data_dir)
    if not source.present(folder):
        raise InputError(
            f"{name} is not in {folder}; 'brainleaks data fetch {name}' gets it or says where from."
        )
    click.echo(describe(name, folder))


def _source(name: str) -> Any:
    from brainleaks.data import DATASETS

    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, 1, 0.4)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise InputError(
            f"no data set called {name!r}.{hint} The data sets are {', '.join(DATASETS)}."
        )
    return DATASETS[name]


def _device(name: str) -> str:
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch finds no CUDA device; use auto or cpu.")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def _print_json(content: Any) -> None:
    click.echo(json.dumps(content, allow_nan=False))


def _print_results(results: dict[str, Any]) -> None:
    click.echo(headline(results))
    target = results["target"]
    origin = f", weights from {target['weights']['file']}" if "weights" in target else ""
    click.echo(f"target ({target['family']}): test accuracy {target['test_accuracy']:.4f}{origin}")
    for evaluator in results["evaluators"]:
        click.echo(f"evaluator {evaluator['name']}: test accuracy {evaluator['test_accuracy']:.4f}")
    _print_judgement(results)


def _print_judgement(results: dict[str, Any], *, always_why: bool = False) -> None:
    _print_attacks(results["attacks"])
    for name, found in results["likeness"].items():
        if "panel" in found["metrics"]:
            panel = found["metrics"]["panel"]
            ends = f"{panel['low']:.3f} to {panel['high']:.3f}"
            click.echo(f"{name}: panel accuracy {panel['value']:.3f}, interval {ends}")
    click.echo(results["verdict"]["sentence"])
    if always_why or results["verdict"]["verdict"] == "inconclusive":
        for reason in results["verdict"]["reasons"]:
            click.echo(f"  {reason}")


def _print_attacks(attacks: list[dict[str, Any]]) -> None:
    one, other = (
        2 + max(len(title), *(len(entry[key]) for entry in attacks))
        for title, key in (("attack", "name"), ("evaluator", "evaluator"))
    )
    click.echo(f"{'attack':<{one}}{'evaluator':<{other}}accuracy   top-3   conf.     DAA")
    for entry in attacks:
        metrics = (entry[k] for k in ("attack_accuracy", "top3_accuracy", "confidence", "daa"))
        figures = "".join(f"{value:>8.3f}" for value in metrics)
        click.echo(f"{entry['name']:<{one}}{entry['evaluator']:<{other}}{figures}")
        if draws := entry.get("draws"):
            mean, std = draws["mean"]["attack_accuracy"], draws["std"]["attack_accuracy"]
            click.echo(f"{'':<{one + other}}{mean:>8.3f} +- {std:.3f} over {draws['n']} draws")


def _fail(message: str) -> None:
    click.echo(f"brainleaks: {message}", err=True)
    sys.exit(2)

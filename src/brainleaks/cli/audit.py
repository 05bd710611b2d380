"""The command that audits a user's own model."""

import re
from pathlib import Path
from typing import Any

import click

from brainleaks import InputError
from brainleaks.cli import completion
from brainleaks.cli.options import DEVICE, JSON, NO_VERDICT, PATH, SEED, command_line, keep_out_of
from brainleaks.cli.printing import (
    echo,
    print_comparison,
    print_json,
    print_judgement,
    print_verdict,
)


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", value or "")
    if value is not None and found is None:
        raise InputError(
            f"--sensor: found {value!r}; expected the height and the width, such as 34x34."
        )
    return (int(found[1]), int(found[2])) if found else None


def _time(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    from brainleaks.audit.budget import seconds_of

    return None if value is None else seconds_of(value)


#: What ``--fail-on`` takes besides the numbers of the levels.
_NAMED_LEVELS = {"leak": 2, "membership": 3}


@click.command()
@click.argument("model", required=False, type=PATH)
@click.option(
    "--data",
    "data_path",
    required=True,
    metavar="PATH",
    help="The data the model was trained on: a folder with one subfolder per class (optionally "
    "under train/ and test/), an .npz file, or module:function returning one torch dataset or a "
    "pair (train, test).",
)
@click.option("--framework", help="Framework the model was built with (default: detect).")
@click.option(
    "--factory",
    metavar="MODULE:FUNCTION",
    help="Function that builds the network whose weights MODEL holds or, without MODEL, the whole "
    "model. It may take arguments named shape and classes.",
)
@click.option(
    "--recipe",
    metavar="MODULE:FUNCTION",
    help="Function that trains a network like the model, for controls and reference networks. It "
    "may take arguments named dataset (a torch dataset) and seed, and returns the trained network "
    "(default: Adam, as in target.training).",
)
@click.option(
    "--dt",
    type=click.FloatRange(0, min_open=True),
    help="NIR: length of a time step, in the file's units of time.",
)
@click.option("--reset", help="NIR: how neurons reset: subtract or zero.")
@click.option(
    "--holdout",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Fraction of each class to hold out if the data has no test split.",
)
@click.option(
    "--classes", metavar="NAME,NAME,...", help="Class names in the order of the model's outputs."
)
@click.option(
    "--channels", type=click.Choice(["grey", "rgb"]), help="Convert images to grey or RGB."
)
@click.option(
    "--encoding",
    type=click.Choice(["rate", "latency", "direct", "stream", "none"]),
    help="Encoding of images into the model's input (default: rate; none for plain torch models; "
    "stream for recordings of channels as events).",
)
@click.option(
    "--steps", type=click.IntRange(1, 20_000), help="Number of time steps, or of event frames."
)
@click.option(
    "--sensor", metavar="HxW", callback=_size, help="Sensor size of event data (default: inferred)."
)
@click.option(
    "--time-unit",
    type=click.Choice(["us", "ms", "s"]),
    help="Unit of event timestamps (default: us in arrays; inferred in text).",
)
@click.option(
    "--repair-times",
    is_flag=True,
    help="Where the times of events run backwards, sort those that come up to 10 ms late and drop "
    "those that jump further, up to 1 % of a recording (default: refuse the recording).",
)
@click.option(
    "--frame-us", type=click.IntRange(1), help="Length of an event frame in microseconds."
)
@click.option(
    "--denoise-us",
    type=click.IntRange(1),
    help="Drop events with no neighbour within this many microseconds.",
)
@click.option(
    "--polarity",
    type=click.Choice(["first", "merged", "both"]),
    help="Event polarities to keep: OFF only, merged into one channel, or both as two channels.",
)
@click.option(
    "--access",
    type=click.Choice(["gradients", "scores", "labels"]),
    default="gradients",
    show_default=True,
    help="What the attacker can observe of the model.",
)
@click.option(
    "--initial-weights",
    type=PATH,
    help="File like MODEL with the weights before training, which the attacker may know, too; see "
    "brainleaks beginning.",
)
@click.option(
    "--attack",
    "attacks",
    multiple=True,
    metavar="NAME",
    shell_complete=completion.attacks,
    help="Attack to run; repeat for several (default: all that apply).",
)
@click.option(
    "--membership",
    type=click.Choice(["none", "quick", "full"]),
    default="quick",
    show_default=True,
    help="How far to test membership: not at all, by strong attacks with 4 reference networks, or "
    "by all attacks with 16.",
)
@click.option(
    "--budget",
    metavar="TIME",
    callback=_time,
    help="Time the audit should take, such as 10m or 90s. What does not fit is left out; an "
    "estimate and what was left out are printed before it starts.",
)
@click.option(
    "--twin",
    is_flag=True,
    help="Also train and audit a non-spiking network on the same data, and compare.",
)
@SEED
@click.option("--out", type=PATH, help="Run folder (default: runs/audit-DATA-seedN).")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change a field of the audit's study by its path, e.g. target.training.epochs=20.",
)
@click.option(
    "--service-id",
    metavar="TEXT",
    help="Name and version of the service, if the model is a function without weights. Results "
    "are cached under this name (default: nothing is cached).",
)
@click.option(
    "--fail-on",
    type=click.Choice(["1", "2", "3", "4", "leak", "membership", "inconclusive"]),
    help="Exit with status 1 if this level of the verdict or a higher one is shown, and 3 if it "
    "was not decided. leak is level 2, membership is level 3; inconclusive: 1 on a leak and on "
    "an inconclusive verdict.",
)
@DEVICE
@JSON
def audit(
    model: Path | None,
    data_path: str,
    framework: str | None,
    factory: str | None,
    recipe: str | None,
    dt: float | None,
    reset: str | None,
    access: Any,
    initial_weights: Path | None,
    attacks: tuple[str, ...],
    membership: Any,
    budget: float | None,
    twin: bool,
    seed: int,
    out: Path | None,
    settings: tuple[str, ...],
    service_id: str | None,
    fail_on: str | None,
    device: str,
    as_json: bool,
    **reading: Any,
) -> int:
    """Audit a trained MODEL: run attacks and report what they reveal about its training data.

    The reconstructions are scored by classifiers trained on the data and compared with negative
    controls. The exit status is 0 whatever the verdict, unless --fail-on is given.
    """
    from brainleaks.audit import plan, run, run_twin, within, write
    from brainleaks.runs import folder

    if model is None and factory is None:
        raise InputError(
            "MODEL: missing; name a file, or use --factory to name a function that builds the "
            "model."
        )
    if budget is not None and twin:
        raise InputError("--budget: a twin's audit is not planned within it; leave out --twin.")
    planned = plan(
        model,
        _own_data(data_path, reading),
        framework=framework,
        factory=factory,
        recipe=recipe,
        dt=dt,
        reset=reset,
        service_id=service_id,
        initial_weights=initial_weights,
        inputs=_inputs(reading),
        access=access,
        attacks=attacks,
        membership=membership,
        settings=settings,
        twin=twin,
    )
    place = out or Path("runs") / f"{planned.study.name}-seed{seed}"
    keep_out_of(place, "MODEL", model)
    keep_out_of(place, "--data", Path(data_path))
    how: dict[str, Any] = {"seed": seed, "device": device}
    if budget is not None:
        planned, said = within(planned, budget, **how)
        for line in said:
            click.echo(line, err=True)
    how["command"] = command_line()
    folder.prepare(place, planned.study, seed)
    outcome = run(planned, **how)
    results = write(outcome, place, run_twin(planned, **how) if twin else None)
    if as_json:
        print_json(results)
    else:
        _print_audit(results, place)
    return _status(results, fail_on)


def _status(results: dict[str, Any], fail_on: str | None) -> int:
    """The exit status: a check passes only if the level was decided, and refuted."""
    verdict = results["verdict"]
    if fail_on is None:
        return 0
    if fail_on == "inconclusive":
        return int(verdict["verdict"] != "no leak shown")
    from brainleaks.evaluation.verdict import shows

    shown = shows(verdict, _NAMED_LEVELS.get(fail_on) or int(fail_on))
    return NO_VERDICT if shown is None else int(shown)


def _own_data(path: str, reading: dict[str, Any]) -> Any:
    from brainleaks.data.own import OwnData

    classes = reading["classes"]
    return OwnData(
        path,
        classes=tuple(classes.split(",")) if classes else None,
        **{
            name: reading[name]
            for name in ("holdout", "channels", "sensor", "time_unit", "repair_times")
        },
    )


def _inputs(reading: dict[str, Any]) -> Any:
    from brainleaks.audit.infer import Inputs

    names = ("encoding", "steps", "frame_us", "denoise_us", "polarity")
    return Inputs(**{name: reading[name] for name in names})


def _print_audit(results: dict[str, Any], place: Path) -> None:
    target = results["target"]
    echo(results["description"])
    form = f"{target['framework']}, lowered" if target["lowered"] else target["framework"]
    echo(f"model ({form}): test accuracy {target['test_accuracy']:.4f}")
    adapter = target["adapter"]
    if why := adapter.get("why_not_lowered"):
        echo(f"  Kept the original network: {why}")
    for note in adapter.get("notes", ()):
        echo(f"  Note: {note}")
    print_judgement(results, always_why=True)
    echo(f"report: {place / 'report.html'}")
    if "twin" in results:
        twin = results["twin"]
        echo(f"twin (ordinary): test accuracy {twin['target']['test_accuracy']:.4f}")
        print_verdict(twin["verdict"])
        print_comparison(results["comparison"], place / "compare.html")

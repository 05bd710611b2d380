"""The command that audits a user's own model."""

import re
from pathlib import Path
from typing import Any

import click

from brainleaks import InputError
from brainleaks.cli.options import DEVICE, JSON, NO_VERDICT, PATH, SEED, command_line, keep_out_of
from brainleaks.cli.printing import echo, print_comparison, print_json, print_judgement


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", value or "")
    if value is not None and found is None:
        raise InputError(
            f"--sensor: found {value!r}; expected the height and the width, such as 34x34."
        )
    return (int(found[1]), int(found[2])) if found else None


@click.command()
@click.argument("model", required=False, type=PATH)
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
@SEED
@click.option("--out", type=PATH, help="Run folder; runs/audit-DATA-seedN.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Change a field of the audit's study, by its path: target.training.epochs=20.",
)
@click.option(
    "--service-id",
    metavar="TEXT",
    help="Name of the service and its version, if the model is a function that shows no weights: "
    "what is computed of it is kept under this name (default: nothing of it is kept).",
)
@click.option(
    "--fail-on",
    type=click.Choice(["leak", "inconclusive"]),
    help="Exit with status 1 on this verdict or a worse one, and with 3 if there is none.",
)
@DEVICE
@JSON
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
    service_id: str | None,
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
    from brainleaks.runs import folder

    if model is None and factory is None:
        raise InputError("MODEL: missing; name a file, or give --factory, which builds the model.")
    planned = plan(
        model,
        _own_data(data_path, reading),
        framework=framework,
        factory=factory,
        dt=dt,
        reset=reset,
        service_id=service_id,
        inputs=_inputs(reading),
        access=access,
        attacks=attacks,
        settings=settings,
        twin=twin,
    )
    place = out or Path("runs") / f"{planned.study.name}-seed{seed}"
    keep_out_of(place, "MODEL", model)
    keep_out_of(place, "--data", Path(data_path))
    folder.prepare(place, planned.study, seed)
    how: dict[str, Any] = {"seed": seed, "device": device, "command": command_line()}
    outcome = run(planned, **how)
    results = write(outcome, place, run_twin(planned, **how) if twin else None)
    if as_json:
        print_json(results)
    else:
        _print_audit(results, place)
    return _status(results, fail_on)


def _status(results: dict[str, Any], fail_on: str | None) -> int:
    """What a check is told: nothing but a verdict passes for one."""
    if fail_on is None:
        return 0
    if not results["likeness"]:
        return NO_VERDICT
    worse = {"leak": ("leak",), "inconclusive": ("leak", "inconclusive")}
    return int(results["verdict"]["verdict"] in worse[fail_on])


def _own_data(path: str, reading: dict[str, Any]) -> Any:
    from brainleaks.data.own import OwnData

    classes = reading["classes"]
    return OwnData(
        path,
        classes=tuple(classes.split(",")) if classes else None,
        **{name: reading[name] for name in ("holdout", "channels", "sensor", "time_unit")},
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
        echo(twin["verdict"]["sentence"])
        print_comparison(results["comparison"], place / "compare.html")

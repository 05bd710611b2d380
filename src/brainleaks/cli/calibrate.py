"""The command that counts how often the verdict is right."""

from pathlib import Path

import click

from brainleaks.cli.options import DATA_DIR, DEVICE, PATH, command_line
from brainleaks.cli.printing import echo, say


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1, type=PATH)
@DATA_DIR
@click.option(
    "--out", type=PATH, default=Path("docs"), show_default=True, help="Folder of the table."
)
@DEVICE
def calibrate(runs: tuple[Path, ...], data_dir: Path | None, out: Path, device: str) -> None:
    """Measure how often the verdict is right, on networks where the answer is known.

    Most are small audits of targets that cannot leak: an hour or two, which the same command goes
    on with when it was cut off. The verdicts of finished RUNs of trained targets are counted too.
    """
    from brainleaks.campaigns.calibration import calibrate as calibrate_verdict

    table = calibrate_verdict(
        list(runs),
        data_dir=data_dir,
        out=out,
        device=device,
        command=command_line(),
        say=say,
    )
    echo(table)

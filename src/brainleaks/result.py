"""A finished run in Python: it shows itself in a notebook, and gives tables and figures."""

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from brainleaks.errors import InputError, printable
from brainleaks.factory import require
from brainleaks.pipeline import Outcome
from brainleaks.report import Run, picture_rows, read_run, write_report
from brainleaks.report.figures import figure_of_grid, figure_of_levels
from brainleaks.report.notebook import shown_in_notebook
from brainleaks.report.tables import attack_rows
from brainleaks.runs import folder
from brainleaks.studies import Study

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

Table = Literal["levels", "attacks", "classes"]


class Result:
    """What a run found, as its run folder holds it.

    :func:`brainleaks.audit.audit` returns one, and :func:`load` reads one. As the last line of a
    notebook's cell it shows the verdict, the levels, the pictures and the attacks.

    Args:
        run: the content of a run folder.
        outcome: the run's networks and data; ``None`` if it was read from its folder.
    """

    def __init__(self, run: Run, outcome: Outcome | None = None) -> None:
        self.run, self.outcome = run, outcome

    @classmethod
    def of(cls, outcome: Outcome, out: str | Path | None = None) -> "Result":
        """What a run that ended just now found.

        Args:
            outcome: of the run.
            out: the run folder to write; by default it lasts as long as the result.

        Raises:
            InputError: if it cannot be written.
        """
        if out is not None:
            folder.write(outcome, Path(out), write_report)
            return cls(read_run(Path(out)), outcome)
        place = Path(tempfile.mkdtemp(prefix="brainleaks-"))
        folder.write(outcome, place / "run")
        found = cls(read_run(place / "run"), outcome)
        weakref.finalize(found, shutil.rmtree, place, ignore_errors=True)
        return found

    @property
    def verdict(self) -> dict[str, Any]:
        """The verdict of ``results.json``: ``level``, ``sentence``, ``levels``, ``reasons``."""
        found: dict[str, Any] = self.results["verdict"]
        return found

    @property
    def results(self) -> dict[str, Any]:
        """Every number: the content of ``results.json``."""
        return self.run.results

    @property
    def provenance(self) -> dict[str, Any]:
        """Versions, seed, hashes, machine and command: the content of ``provenance.json``."""
        return self.run.provenance

    @property
    def study(self) -> Study:
        """The study with every setting."""
        return self.outcome.study if self.outcome else folder.read_study(self.run.folder)

    def save(self, out: str | Path) -> Path:
        """Write the run folder with its report, and return the report's path.

        Args:
            out: the folder; a run that is there is replaced.

        Raises:
            InputError: if it cannot be written, or the result was loaded from a folder.
        """
        if self.outcome is None:
            raise InputError(f"the result was loaded from {self.run.folder}; copy that folder.")
        folder.prepare(Path(out), self.outcome.study, self.outcome.seed)
        folder.write(self.outcome, Path(out), write_report)
        return Path(out) / "report.html"

    def to_frame(self, table: Table = "attacks") -> "pandas.DataFrame":
        """The numbers as a pandas data frame.

        Args:
            table: ``"attacks"``: a row for each measure of each attack and control, with the ends
                of its interval; ``"classes"``: the same for each class; ``"levels"``: a row for
                each level of the verdict.

        Raises:
            InputError: if pandas is not installed, or there is no such table.
        """
        rows = {"attacks": _attacks, "classes": _classes, "levels": _levels}
        if table not in rows:
            raise InputError(f"table={table!r}: unknown; expected one of {', '.join(rows)}.")
        require("pandas")
        import pandas

        return pandas.DataFrame(rows[table](self.run))

    def plot(self, attack: str | None = None) -> "Figure":
        """Reconstructions of each class beside a training sample, as a matplotlib figure.

        A run that reconstructed no classes is shown by the levels of its verdict.

        Args:
            attack: whose; by default that of the verdict.

        Raises:
            InputError: if the run has no such attack.
        """
        run = self.run
        if attack is not None and attack not in run.attacks:
            known = ", ".join(run.attacks) or "none"
            raise InputError(f"attack={attack!r}: not in this run; its attacks are {known}.")
        if not run.attacks:
            return figure_of_levels(self.verdict["levels"])
        truth, *_ = rows = picture_rows(run)
        chosen = attack or run.leading_attack
        return figure_of_grid({name: rows[name] for name in (truth, chosen)}, run.class_names)

    def __repr__(self) -> str:
        said = self.verdict["sentence"].partition(":")[0].rstrip(".")
        return printable(f"<Result {self.results['preset']}, seed {self.results['seed']}: {said}>")

    def _repr_html_(self) -> str:
        return shown_in_notebook(self.run)


def load(run_dir: str | Path) -> Result:
    """Read a run folder that ``brainleaks run``, ``brainleaks audit`` or Python wrote.

    Args:
        run_dir: the run folder.

    Raises:
        InputError: if it is not a finished run, or was changed since.
    """
    return Result(read_run(Path(run_dir)))


def _levels(run: Run) -> list[dict[str, Any]]:
    keys = ("level", "name", "status", "attack", "measure", "value", "low", "high", "sentence")
    return [{key: rung[key] for key in keys} for rung in run.results["verdict"]["levels"]]


def _attacks(run: Run) -> list[dict[str, Any]]:
    rows = [
        {**who, "measure": measure, "value": found["value"], "low": found["low"]}
        | {"high": found["high"]}
        for who, metrics in _measured(run)
        for measure, found in metrics.items()
    ]
    membership = run.results["evidence"].get("membership", {"attacks": {}})
    for name, found in membership["attacks"].items():
        rates = {f"true positives at {r} false": v for r, v in found["tpr_at_fpr"].items()}
        for measure, rate in ({"area under the ROC curve": found["auc"]} | rates).items():
            rows.append(
                {"attack": name, "role": "attack", "name": name, "measure": measure, **rate}
            )
        for control, rate in found["controls"].items():
            who = {"attack": name, "role": "negative control", "name": control}
            rows.append({**who, "measure": "area under the ROC curve", **rate})
    return rows


def _classes(run: Run) -> list[dict[str, Any]]:
    return [
        {**who, "class": name, "measure": measure, "value": value}
        for who, metrics in _measured(run)
        for measure, found in metrics.items()
        for name, value in zip(run.class_names, found["by_class"], strict=True)
    ]


def _measured(run: Run) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each attack and each of its controls, and what was measured of it."""
    likeness = {name: found["metrics"] for name, found in run.results["likeness"].items()}
    rows = attack_rows(likeness, run.results["controls"])
    return [
        ({"attack": row["of"], "role": row["role"], "name": row["name"]}, row["metrics"])
        for row in rows
    ]

"""While a network is trained: measure every few epochs how much it leaks."""

import dataclasses
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from brainleaks.audit.interface import plan_of
from brainleaks.audit.steps import Plan, builder_of, run, within
from brainleaks.errors import first_line
from brainleaks.result import Result

Log = Callable[[dict[str, float]], object]
#: Arguments of an audit that are its run's, and not its plan's.
_HOW = ("seed", "device", "cache")


class LeakageTracker:
    """Audits a network every few epochs, and logs what it finds.

    Call it at the end of each epoch. Training is left as it is: the network stays in its mode, and
    no random number is drawn from torch's generators. What the first audit leaves out to fit the
    budget is left out of all, so that epochs can be compared.

    Args:
        data: as :func:`brainleaks.audit.audit` takes it.
        log: is called with a dictionary of numbers: ``epoch``, ``leakage/level``, ``leakage/NAME``
            for each level of which something was measured, and ``leakage/seconds``. So
            ``wandb.log`` can be given as it is.
        every: epochs between two audits.
        budget: seconds that an audit should take; ``None`` for no limit.
        **how: further arguments of ``audit``.

    Example:
        >>> tracker = LeakageTracker((x, y), log=print, every=5, budget=60, holdout=0.2, steps=25)
        >>> for epoch in range(20):
        ...     train_one_epoch(network)
        ...     tracker(network, epoch)
    """

    def __init__(
        self,
        data: Any,
        *,
        log: Log,
        every: int = 5,
        budget: float | None = 60,
        **how: Any,
    ) -> None:
        self.results: dict[int, Result] = {}
        self._data, self._log, self._every, self._budget = data, log, max(1, every), budget
        self._how = {name: how.pop(name) for name in _HOW if name in how}
        self._arguments: Mapping[str, Any] = how
        self._plan: Plan | None = None

    def __call__(self, network: nn.Module, epoch: int) -> Result | None:
        """Audit the network if it is its turn: after every ``every`` epochs.

        Args:
            network: as it is now.
            epoch: that has just ended, counted from 0.

        Returns:
            What was found, which is in ``results`` under the epoch as well; ``None`` if it is not
            the network's turn, or a later audit than the first fails, which is a warning.

        Raises:
            Exception: whatever the first audit raises.
        """
        if (epoch + 1) % self._every:
            return None
        modes = [(module, module.training) for module in network.modules()]
        devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
        try:
            with torch.random.fork_rng(devices):
                found = self._audited(network, epoch)
        except Exception as error:  # hours of training are not lost to it
            if not self.results:
                raise
            said = f"the audit after epoch {epoch} failed: {first_line(error)}"
            warnings.warn(said, RuntimeWarning, stacklevel=2)
            return None
        finally:
            for module, mode in modes:
                module.training = mode
        self.results[epoch] = found
        return found

    def _audited(self, network: nn.Module, epoch: int) -> Result:
        start = time.perf_counter()
        planned = self._planned(network)
        build = builder_of(network, self._arguments.get("framework"))
        found = Result.of(run(dataclasses.replace(planned, build=build), **self._how))
        self._log(_numbers(found, epoch) | {"leakage/seconds": time.perf_counter() - start})
        return found

    def _planned(self, network: nn.Module) -> Plan:
        if self._plan is None:
            planned = plan_of({**self._arguments, "model": network, "data": self._data})
            if self._budget is not None:
                planned, _ = within(planned, self._budget, **self._how)
            self._plan = planned
        return self._plan


def _numbers(found: Result, epoch: int) -> dict[str, float]:
    level = found.verdict["level"]
    measured = {
        f"leakage/{rung['name']}": float(rung["value"])
        for rung in found.verdict["levels"]
        if rung["value"] is not None
    }
    shown = {} if level is None else {"leakage/level": float(level)}
    return {"epoch": float(epoch), **shown, **measured}

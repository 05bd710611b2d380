"""Repairing recordings in which time runs backwards, as in some of real sensors."""

from typing import NamedTuple

import numpy as np

from brainleaks.data._events import in_order, out_of_place, span
from brainleaks.data.events import FURTHEST_US, Events
from brainleaks.errors import InputError, option

#: Events that come late because of the sensor's read-out are late by less than this.
LATE_US = 10_000
#: A hundredth of the events, or one: beyond that, jumps are no errors of single events.
_MOST_DROPPED = 100


class Repair(NamedTuple):
    """How many events were moved to their place in time, and how many were dropped."""

    sorted: int = 0
    dropped: int = 0


def repair_times(where: str, events: Events) -> tuple[Events, Repair]:
    """Put a recording into the order of time.

    The largest set of events that are in order already stays as it is. Of the others, those whose
    times lie within 10 milliseconds of their neighbours in that set came late, and are sorted into
    it; the others have a wrong time, and are dropped.

    Args:
        where: what to call the recording in errors.
        events: in the order in which they were written.

    Returns:
        The events in the order of time (of equal times, in their order before), and how many were
        sorted and dropped.

    Raises:
        InputError: if more than 1 % of the events, and more than one, would be dropped.
    """
    t = events.t
    if not len(t) or span(events.x, events.y, t)[-1]:
        return events, Repair()
    if int(t.min()) < -FURTHEST_US or int(t.max()) > FURTHEST_US:
        return events, Repair()  # differences could overflow; their reader refuses them
    stays = in_order(t)
    kept = out_of_place(t, stays) <= LATE_US
    repair = Repair(int((kept & ~stays).sum()), int((~kept).sum()))
    if repair.dropped > max(1, len(t) // _MOST_DROPPED):
        raise InputError(
            f"{where}: time jumps so often that {option('repair-times')} would drop "
            f"{repair.dropped:,} of {len(t):,} events; at most 1 % may be dropped. If the file "
            "holds several recordings, split it."
        )
    left = events.where(kept)
    return left.where(np.argsort(left.t, kind="stable")), repair

"""How much a file from a stranger may ask for: every limit, and how to raise it."""

import os
from dataclasses import dataclass

from brainleaks.errors import InputError

_PREFIX = "BRAINLEAKS_LIMIT_"


@dataclass(frozen=True)
class Limit:
    """The most that a file may hold of something.

    Args:
        name: ``BRAINLEAKS_LIMIT_NAME`` in the environment raises it.
        default: the most without that.
        unit: what is counted.
    """

    name: str
    default: int
    unit: str

    @property
    def variable(self) -> str:
        """The environment variable that raises this limit."""
        return f"{_PREFIX}{self.name}"

    @property
    def value(self) -> int:
        """The most that is read now.

        Raises:
            InputError: if the environment variable holds no positive whole number.
        """
        given = os.environ.get(self.variable)
        if given is None:
            return self.default
        if not given.isascii() or not given.isdigit() or len(given) > 18 or int(given) < 1:
            raise InputError(f"{self.variable} is {given!r}; expected a whole number above 0.")
        return int(given)

    def check(self, where: object, found: int) -> None:
        """Refuse more than the limit.

        Args:
            where: the file or field, for the message.
            found: how much it asks for.

        Raises:
            InputError: naming the limit and how to raise it.
        """
        if found > self.value:
            raise InputError(
                f"{where} has {found:,} {self.unit}; the limit is {self.value:,}. If you trust the "
                f"file, set {self.variable} to a larger number."
            )


#: Bytes of a file of data or weights as it lies on disk.
FILE_BYTES = Limit("FILE_BYTES", 8 << 30, "bytes")
#: Bytes of one sample: an image or a recording.
SAMPLE_BYTES = Limit("SAMPLE_BYTES", 1 << 30, "bytes")
#: Bytes that a packed file of any size may unpack to ...
UNPACKED_BYTES = Limit("UNPACKED_BYTES", 256 << 20, "bytes once unpacked")
#: ... or, where it is larger itself, times its own size.
UNPACKED_RATIO = Limit("UNPACKED_RATIO", 32, "times its size once unpacked")
#: Files in an archive or a folder.
ENTRIES = Limit("ENTRIES", 1_000_000, "entries")
#: Pixels of an image.
IMAGE_PIXELS = Limit("IMAGE_PIXELS", 1 << 24, "pixels")
#: Pixels of an event sensor; today's largest have about a million.
SENSOR_PIXELS = Limit("SENSOR_PIXELS", 1 << 22, "sensor pixels")
#: Length of a recording.
RECORDING_US = Limit("RECORDING_US", 24 * 3_600_000_000, "microseconds")
#: Frames that a recording is cut into; a wrong unit of time is the usual reason for more.
FRAMES = Limit("FRAMES", 20_000, "frames")
#: Classes of a data set.
CLASSES = Limit("CLASSES", 10_000, "classes")
#: Channels of an image or a frame.
CHANNELS = Limit("CHANNELS", 4_096, "channels")
#: Tensors of a state dict whose initial values are recovered ...
TENSORS = Limit("TENSORS", 2_000, "tensors")
#: ... and their values.
WEIGHTS = Limit("WEIGHTS", 1 << 25, "weights")
#: Time that a library in the child process may take for a file, besides a second for each 20 MB.
READ_SECONDS = Limit("READ_SECONDS", 4, "seconds")
#: Memory that it may take, besides four times the file's size.
READ_MEMORY = Limit("READ_MEMORY", 768 << 20, "bytes of memory")
#: Bytes of a study file, or of another text.
TEXT_BYTES = Limit("TEXT_BYTES", 1 << 20, "bytes")
#: Bytes of a JSON file with the results of a run.
RESULTS_BYTES = Limit("RESULTS_BYTES", 256 << 20, "bytes")
#: Values in a study file, and nodes and fields of a graph.
ITEMS = Limit("ITEMS", 20_000, "values")
#: How deep a study file or a graph is nested.
DEPTH = Limit("DEPTH", 20, "levels of nesting")


def limits_given() -> dict[str, str]:
    """The limits that the environment sets, as it sets them."""
    return {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}


def check_unpacked(where: object, packed: int, unpacked: int) -> None:
    """Refuse what unpacks to far more than it takes on disk.

    Args:
        where: the file, for the message.
        packed: its bytes on disk.
        unpacked: its bytes once unpacked, as it declares or as found so far.

    Raises:
        InputError: if it exceeds both :data:`UNPACKED_BYTES` and :data:`UNPACKED_RATIO`.
    """
    if unpacked > packed * UNPACKED_RATIO.value:
        UNPACKED_BYTES.check(where, unpacked)

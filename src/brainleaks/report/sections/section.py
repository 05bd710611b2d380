"""What one kind of evidence adds to a run's page."""

from typing import NamedTuple

from markupsafe import Markup


class Section(NamedTuple):
    """HTML, and the links that lead into it: labels by the ``id`` of a heading."""

    links: dict[str, str]
    html: Markup

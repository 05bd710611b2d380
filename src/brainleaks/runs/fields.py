"""What the fields of a run's JSON files are made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

_MOST = 1e15
#: Finite, so that a chart can hold it.
Number = Annotated[float, Field(ge=-_MOST, le=_MOST, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=_MOST)]
Share = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(max_length=100_000)]
Name = Annotated[str, Field(max_length=1_000)]
#: Names a file in the run folder, and charts in its report.
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)]


class Part(BaseModel):
    """A JSON object; fields that this version does not know are kept."""

    model_config = ConfigDict(strict=True, extra="allow")

    __pydantic_extra__: dict[str, JsonValue]

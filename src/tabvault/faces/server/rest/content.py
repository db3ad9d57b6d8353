"""What every answer is made of."""

from __future__ import annotations

import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

Moment = Annotated[
    datetime.datetime,
    PlainSerializer(lambda moment: moment.isoformat(), return_type=str),
    Field(json_schema_extra={"format": "date-time"}),
]


class Content(BaseModel):
    """A JSON object in an answer; made from any object with attributes of its members' names."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

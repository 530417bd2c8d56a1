"""Every answer of the API that says what it used, as its specification draws them, with what must be read in it.

usage_shapes.json was written from the schemas and examples of the specification; a text `@22000` in it stands for that
many letters of base64.
"""

import json
import re

from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from codex_manager.core.endpoint import Endpoint, describe
from codex_manager.core.metering import NO_UNITS, Meter, Units, meter_for, request_units
from codex_manager.core.usage import Usage


__all__ = ["ANSWERS", "EVENTS", "STREAMS", "WHOLE", "Shape", "data_line", "fed", "metering", "split", "usage_of"]


@dataclass(frozen=True)
class Shape:
    """One answer."""

    name: str
    schema: str
    endpoint: Endpoint
    content_type: str
    body: bytes
    model: str | None
    units: Units
    usage: Usage

    @property
    def meter(self) -> Meter:
        return metering(self.endpoint, self.content_type, units=self.units, model=self.model)


def metering(
    endpoint: Endpoint, content_type: str | None, *, units: Units = NO_UNITS, model: str | None = None
) -> Meter:
    """The meter of an endpoint that has one."""
    meter = meter_for(endpoint, content_type, units=units, model=model)
    assert meter is not None
    return meter


def usage_of(expect: dict[str, Any]) -> Usage:
    known = {field.name for field in fields(Usage)}
    assert known >= set(expect)
    return Usage(**{**expect, "calls": tuple((name, count) for name, count in expect.get("calls", ()))})


def data_line(data: Any) -> str:
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"data: {text}\n\n"


def fed(meter: Meter, pieces) -> Meter:
    for piece in pieces:
        meter.feed(piece)
    return meter


def split(body: bytes, cuts) -> list[bytes]:
    """The same bytes in pieces, cut at these places."""
    places = [0, *sorted(cuts), len(body)]
    return [body[begin:end] for begin, end in pairwise(places)]


def _shape(number: int, row: dict[str, Any]) -> Shape:
    method, target = row["where"].split(" ")
    endpoint = describe(method, target)
    request = json.dumps(row["request"]).encode() if "request" in row else None
    if "events" in row:
        content_type = "text/event-stream; charset=utf-8"
        body = "".join(
            (f"event: {event['event']}\n" if "event" in event else "") + data_line(event["data"])
            for event in row["events"]
        )
    else:
        content_type, body = "application/json", json.dumps(row["body"], ensure_ascii=False, indent=2)
    return Shape(
        name=f"{number}-{row['schema']}-{'stream' if 'events' in row else 'json'}",
        schema=row["schema"],
        endpoint=endpoint,
        content_type=content_type,
        body=body.encode(),
        model=row.get("model"),
        units=request_units(endpoint, "application/json", request),
        usage=usage_of(row["expect"]),
    )


_TEXT = (Path(__file__).parent / "usage_shapes.json").read_text(encoding="utf-8")
_ROWS = json.loads(re.sub(r'"@(\d+)"', lambda found: '"' + "A" * int(found[1]) + '"', _TEXT))
ANSWERS = [_shape(number, row) for number, row in enumerate(_ROWS["answers"])]
WHOLE = [shape for shape in ANSWERS if shape.content_type == "application/json"]
STREAMS = [shape for shape in ANSWERS if shape.content_type != "application/json"]
EVENTS = [(row["schema"], row["event"], usage_of(row["expect"])) for row in _ROWS["events"]]

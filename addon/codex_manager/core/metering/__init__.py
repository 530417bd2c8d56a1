"""What answers used: read from the bytes that pass by, or estimated from them. Pure; knows no prices."""

from codex_manager.core.metering.choose import meter_for
from codex_manager.core.metering.estimates import estimated
from codex_manager.core.metering.events import ENDS, event_usage
from codex_manager.core.metering.kinds import OVER
from codex_manager.core.metering.meters import Meter
from codex_manager.core.metering.units import NO_UNITS, Units, request_units


__all__ = ["ENDS", "NO_UNITS", "OVER", "Meter", "Units", "estimated", "event_usage", "meter_for", "request_units"]

"""Everything that could be wrong with an install, looked at one by one, each with its cure."""

from codex_manager.doctor.examination import examine
from codex_manager.doctor.finding import AREAS, Finding, Level


__all__ = ["AREAS", "Finding", "Level", "examine"]

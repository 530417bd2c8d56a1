"""Things that live in one account only: how they are named, where requests name them, how answers show whose they are."""

from codex_manager.core.resources.learner import Learned, Learner, deleted, learner_for
from codex_manager.core.resources.references import Reference, References, digest, references
from codex_manager.core.resources.table import BY_NAME, FAMILIES, Family, ids_in_path, kind_of, list_family


__all__ = [
    "BY_NAME",
    "FAMILIES",
    "Family",
    "Learned",
    "Learner",
    "Reference",
    "References",
    "deleted",
    "digest",
    "ids_in_path",
    "kind_of",
    "learner_for",
    "list_family",
    "references",
]

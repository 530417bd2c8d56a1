"""What can be wrong with the configuration, as one sentence for its owner."""

from collections.abc import Mapping

from codex_manager.core.errors import CodexManagerError


__all__ = ["ConfigError"]


class ConfigError(CodexManagerError):
    """The configuration cannot be used as it is. The message names file, line and key, and holds no secret.

    `problems` are all the sentences when there is more than one mistake; the message is the first of them. `fields` are the same by
    the setting to blame, without the place it stands in, for a form that shows each beside its field.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        exit_code: int = 1,
        problems: tuple[str, ...] = (),
        fields: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, exit_code=exit_code)
        self.problems = problems or (message,)
        self.fields = dict(fields or {})
        """By dotted key; of a price also `prices.MODEL.input`. Empty where no setting is to blame."""

"""The `prices` section: models by name, each with the prices that the user gives it.

The one section whose keys are not ours: any name of a model may stand there. Knows what a price may be, not what models
cost (ledger.prices).
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, model_validator

from codex_manager.core.pricing import PriceOverride


__all__ = ["EXAMPLE", "HIGHEST_USD", "ModelPrices", "PricesSection"]

EXAMPLE: Final = "{input: 1.25, cached_input: 0.125, output: 10}"
HIGHEST_USD: Final = 1_000_000
"""A price above a million dollars is a slip of the hand."""
LONGEST_NAME: Final = 200
"""Characters; what ledger.prices compares of a name."""


def _model_name(name: str) -> str:
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or any(letter.isspace() for letter in name):
        raise ValueError("is no name of a model; put what requests say in `model`")
    if "*" in name or "?" in name:
        raise ValueError("is a pattern; prices are given by the names of models")
    return name


def _usd(description: str) -> Any:
    return Field(None, ge=0, le=HIGHEST_USD, allow_inf_nan=False, description=description)


class ModelPrices(BaseModel):
    """US dollars for what one model does. What is left out stays as it is listed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    input: float | None = _usd("A million input tokens.")
    cached_input: float | None = _usd("A million input tokens read from the prompt cache.")
    cache_write: float | None = _usd("A million input tokens written to the prompt cache.")
    output: float | None = _usd("A million output tokens, those of reasoning included.")
    audio_input: float | None = _usd("A million input tokens of audio.")
    cached_audio_input: float | None = _usd("A million input tokens of audio read from the cache.")
    audio_output: float | None = _usd("A million output tokens of audio.")
    image_input: float | None = _usd("A million input tokens of images.")
    cached_image_input: float | None = _usd("A million input tokens of images read from the cache.")
    image_output: float | None = _usd("A million output tokens of images.")
    minute: float | None = _usd("A minute of audio or video, for models billed by time.")
    characters: float | None = _usd("A million characters to be spoken, for models billed by them.")
    image: float | None = _usd("An image, for models billed by the image.")
    web_search: float | None = _usd("A thousand calls of the web search tool.")
    file_search: float | None = _usd("A thousand calls of the file search tool.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if all(price is None for price in self.model_dump().values()):
            raise ValueError(f"must give at least one price, such as {EXAMPLE}")
        return self

    def override(self) -> PriceOverride:
        """As ledger.prices takes it; the decimals are those that were typed."""
        given = {name: usd for name, usd in self.model_dump().items() if usd is not None}
        return PriceOverride(**{name: Decimal(str(usd)) for name, usd in given.items()})


class PricesSection(RootModel[dict[Annotated[str, AfterValidator(_model_name)], ModelPrices]]):
    """Prices of your own, by model; they count instead of the listed ones for requests that come from then on."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)
    root: dict[Annotated[str, AfterValidator(_model_name)], ModelPrices] = Field(default_factory=dict)

    def overrides(self) -> Mapping[str, PriceOverride]:
        """As ledger.prices takes them."""
        return {name: prices.override() for name, prices in self.root.items()}

    def plain(self) -> dict[str, dict[str, float]]:
        """The prices that are given, by model."""
        return {name: prices.model_dump(exclude_none=True) for name, prices in self.root.items()}

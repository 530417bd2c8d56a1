"""What models cost: the public price list that is shipped, what it lacks, and the user's own prices over both."""

from codex_manager.ledger.prices.pricelist import DEAREST, Prices, Quote


__all__ = ["DEAREST", "Prices", "Quote"]

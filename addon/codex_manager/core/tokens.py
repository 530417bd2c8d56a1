"""How many tokens a request may cost, from its bytes: good enough to see that it does not fit into what is left.

Law: cheap (no parsing, no tokenizer), rather too high than too low, never used for money. Too high sends a request to
another account without need; too low costs a 429.

The rate: OpenAI's rule of thumb is four characters of English for a token. Source code and other scripts take more
tokens for their bytes, JSON's quotes and escapes fewer. Three bytes a token leaves a margin for all of them.
"""

__all__ = ["IMAGE_TOKENS", "estimate"]

BYTES_PER_TOKEN = 3
IMAGE_TOKENS = 1500
"""An image in high detail: 85 + 170 for each of up to 8 tiles (vision guide) = 1,445."""
_MARK = b";base64,"
_MOST_IMAGES = 64


def estimate(body: bytes, *, content_type: str | None = None, max_output_tokens: int | None = None) -> int:
    """Input tokens, and the output asked for, which the rate limiter counts as well.

    Files in a form are not measured in tokens of text: they count as nothing.
    """
    if (content_type or "").lstrip().lower().startswith("multipart/"):
        return 0
    text, images = len(body), 0
    at = body.find(_MARK)
    while at >= 0 and images < _MOST_IMAGES:
        end = body.find(b'"', at)
        end = len(body) if end < 0 else end
        text -= end - at
        images += 1
        at = body.find(_MARK, end)
    return -(-text // BYTES_PER_TOKEN) + images * IMAGE_TOKENS + (max_output_tokens or 0)

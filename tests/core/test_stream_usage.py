"""A stream is asked for its usage and the answer taken out again, and the client reads what it would have read."""

import json
import random

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.metering.shapes import STREAMS, data_line, fed, metering, split

from codex_manager.core.body import facts
from codex_manager.core.endpoint import describe
from codex_manager.core.stream_usage import LONGEST_EVENT, UsageRemover, inject


# --- asking ---------------------------------------------------------------------------------------------------------

ASK = b'"stream_options":{"include_usage":true},'


@pytest.mark.parametrize(
    ("body", "asking"),
    [
        (b'{"stream":true}', b"{" + ASK + b'"stream":true}'),
        (b' \n{ "stream" : true }\n', b" \n{" + ASK + b' "stream" : true }\n'),
        (b'\xef\xbb\xbf{"stream":true}', b"\xef\xbb\xbf{" + ASK + b'"stream":true}'),
        (b'{"stream":true,"stream_options":{}}', b'{"stream":true,"stream_options":{"include_usage":true}}'),
        (b'{"stream":true,"stream_options":{ }}', b'{"stream":true,"stream_options":{"include_usage":true }}'),
        (b'{"stream":true,"stream_options": null }', b'{"stream":true,"stream_options": {"include_usage":true} }'),
        (
            b'{"stream_options":{"include_usage":false},"stream":true}',
            b'{"stream_options":{"include_usage":true},"stream":true}',
        ),
        (
            b'{"stream_options":{"include_usage" : null},"stream":true}',
            b'{"stream_options":{"include_usage" : true},"stream":true}',
        ),
        (
            b'{"stream_options":{"include_obfuscation":false},"stream":true}',
            b'{"stream_options":{"include_usage":true,"include_obfuscation":false},"stream":true}',
        ),
        (
            b'{"stream_options":{"a":{"include_usage":false},"include_usage":false,"b":1},"stream":true}',
            b'{"stream_options":{"a":{"include_usage":false},"include_usage":true,"b":1},"stream":true}',
        ),
        (
            b'{"metadata":{"stream_options":{"include_usage":true}},"stream":true}',
            b"{" + ASK + b'"metadata":{"stream_options":{"include_usage":true}},"stream":true}',
        ),
        (
            b'{"messages":[{"content":"\\"stream_options\\":{\\"include_usage\\":true}"}],"stream":true}',
            b"{" + ASK + b'"messages":[{"content":"\\"stream_options\\":{\\"include_usage\\":true}"}],"stream":true}',
        ),
        (
            b'{"stream\\u005foptions":{"include\\u005fusage":false},"stre\\u0061m":true}',
            b'{"stream\\u005foptions":{"include\\u005fusage":true},"stre\\u0061m":true}',
        ),
        # Asks already.
        (b'{"stream":true,"stream_options":{"include_usage":true}}', None),
        (b'{"stream\\u005foptions":{"include_usage":true},"stream":true}', None),
        # Does not stream.
        (b'{"stream":false}', None),
        (b'{"messages":[{"stream":true}]}', None),
        (b'{"stream":"true"}', None),
        (b"{}", None),
        (b"", None),
        # Odd: what a server makes of these cannot be known.
        (b'{"stream":true,"stream_options":{"include_usage":false},"stream_options":{}}', None),
        (b'{"stream":true,"stream_options":{"include_usage":false,"include_usage":false}}', None),
        (b'{"stream":true,"stream_options":{"include_usage":"yes"}}', None),
        (b'{"stream":true,"stream_options":[]}', None),
        (b'{"stream":true,"stream_options":7}', None),
        (b'[{"stream":true}]', None),
        (b'{"stream":true', None),
        (b'{"stream":true}}', None),
        (b'{"stream":true,"x":' + b"[" * 100_000, None),
        ('{"stream":true}'.encode("utf-16"), None),
        ('{"stream":true}'.encode("utf-16-le"), None),
    ],
)
def test_a_request_is_asked_in_its_own_bytes(body, asking):
    assert inject(body) == asking
    said = facts("application/json", body)
    if not said.malformed and body[:1] != b"[" and b"\0" not in body:
        assert inject(body, streams=said.stream, options=said.stream_options) == asking


@pytest.mark.parametrize("body", [b'{"stream":false,"stream":true}', b'{"stream":true,"stream":false}'])
def test_a_stream_that_is_asked_for_twice_is_left_alone_or_asked_once(body):
    assert inject(body) is None


NAMES = st.sampled_from(["stream_options", "stream", "include_usage", "messages", 'a"\\', "é", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.just('"stream_options":{'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=80)
@given(st.dictionaries(NAMES, VALUES, max_size=5), st.booleans(), st.sampled_from([None, 2]))
def test_nothing_else_changes(request, ascii_only, indent):
    request["stream"] = True
    body = json.dumps(request, ensure_ascii=ascii_only, indent=indent).encode()
    asking = inject(body)
    assert asking == inject(body, streams=True, options="stream_options" in request)
    options = request.get("stream_options")
    if asking is None:  # it asks already, or says something that no server understands
        assert options is not None
        assert not isinstance(options, dict) or (
            options.get("include_usage") is not None and options["include_usage"] is not False
        )
        return
    assert json.loads(asking) == {**request, "stream_options": {**(options or {}), "include_usage": True}}


# --- taking out -----------------------------------------------------------------------------------------------------

HEAD = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "gpt-4o",
    "system_fingerprint": None,
}
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 0}}
WORDS = [
    "",
    "Hello",
    "usage",
    '"usage":null',
    ',"usage":null}',
    "\\",
    '\\"',
    "é😀",
    "\n\n",
    "data: [DONE]",
    '"usage":{"a":1}',
]


def event(content: str, **more) -> dict:
    return {**HEAD, "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": None}], **more}


def streams(words, *, more=None, wide: bool = False) -> tuple[bytes, bytes]:
    """The stream as it comes when its usage was asked for, and as it comes when it was not."""
    separators = (", ", ": ") if wide else (",", ":")

    def line(data) -> str:
        return "data: " + json.dumps(data, ensure_ascii=False, separators=separators) + "\n\n"

    more = more or {}
    asked = [line(event(word, usage=None, **more)) for word in words]
    plain = [line(event(word, **more)) for word in words]
    end = [line({**HEAD, "choices": [], "usage": USAGE, **more})]
    done = ["data: [DONE]\n\n"]
    return "".join(asked + end + done).encode(), "".join(plain + done).encode()


def removed(pieces) -> bytes:
    remover = UsageRemover()
    return b"".join([remover.feed(piece) for piece in pieces] + [remover.close()])


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(
    "more", [{}, {"obfuscation": 'x"}\\y'}, {"obfuscation": "usage", "n": 1.5}, {"metadata": {"usage": None}}]
)
def test_the_client_reads_what_it_would_have_read(more, wide):
    asked, plain = streams(WORDS, more=more, wide=wide)
    assert removed([asked]) == plain
    assert removed(split(asked, range(1, len(asked)))) == plain
    assert removed(asked.replace(b"\n\n", b"\n\n\0").split(b"\0")) == plain


def check_splits(count: int, seed: int) -> None:
    """Bytes and figures, however the stream is cut."""
    rng = random.Random(seed)
    endpoint = describe("POST", "/v1/chat/completions")
    made = [
        streams(rng.choices(WORDS, k=12), more=more) for more in ({}, {"obfuscation": "r4N7vQ2m"}) for _ in range(10)
    ]
    for _ in range(count):
        asked, plain = rng.choice(made)
        pieces = split(asked, [rng.randrange(len(asked) + 1) for _ in range(rng.choice((1, 2, 6, 40)))])
        assert removed(pieces) == plain, pieces
        meter = fed(metering(endpoint, "text/event-stream"), pieces)
        usage = meter.usage()
        assert usage is not None
        assert (usage.input, usage.output) == (9, 3)


def test_cuts_anywhere_change_nothing():
    check_splits(300, seed=1)


@pytest.mark.slow
def test_ten_thousand_cuts_anywhere_change_nothing():
    check_splits(10_000, seed=2)


def test_completions_are_streamed_alike():
    [shape] = [shape for shape in STREAMS if shape.schema == "CreateCompletionResponse"]
    events = shape.body.decode().split("\n\n")
    plain = "\n\n".join(event.replace(',"usage":null', "") for event in events if '"usage":{' not in event).encode()
    assert removed([shape.body]) == plain


NULL_FIRST = b'data: {"usage":null,"choices":[{"delta":{"content":"x"}}]}\n\n'


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (NULL_FIRST, b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'),
        (b'data: {"a":1,"usage":null,"choices":[{"usage":null}]}\n\n', b'data: {"a":1,"choices":[{"usage":null}]}\n\n'),
        (b'data: { "usage" : null , "a" : 1 }\n\n', b'data: { "a" : 1 }\n\n'),
        (b'data: {"usage":null}\n\n', b"data: {}\n\n"),
        (b'data:{"a":1,"usage":null}\r\n\r\n', b'data:{"a":1}\r\n\r\n'),
        (b'id: 3\ndata: {"a":1,"usage":null}\nretry: 5\n\n', b'id: 3\ndata: {"a":1}\nretry: 5\n\n'),
        (b'event: x\ndata: {"choices":[],"usage":{"total_tokens":1}}\n\ndata: 1\n\n', b"data: 1\n\n"),
        (b'data: {"choices":[],"usage":{"total_tokens":1}}\r\n\r\n: bye\r\n\r\n', b": bye\r\n\r\n"),
        # The stream ends without the last line end.
        (b'data: {"choices":[],"usage":{"total_tokens":1}}', b""),
        (b'data: {"a":1,"usage":null}\n', b'data: {"a":1}\n'),
    ],
)
def test_other_ways_of_writing_the_same(sent, read):
    assert removed([sent]) == read
    assert removed(split(sent, range(1, len(sent)))) == read


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\n\n",
        b": keep-alive\n\n",
        b"data: [DONE]\n\n",
        b'data: {"choices":[{"usage":null}]}\n\n',
        b'data: {"choices":[{"delta":{},"usage":null}]}\n\n',
        b'data: {"choices":[{"delta":{}}],"usage":{"total_tokens":1}}\n\n',  # a server that says it with the last text
        b'data: {"choices":[],"usage":7}\n\n',
        b'data: {"usage":{"total_tokens":1}}\n\n',
        b'data: {"usage":null,"usage":null}\n\n',
        b'data: {"choices":[],"usage":{}\n\n',
        b'data: {"a":1,"usage":nu',
        b'data: {"a":1,\ndata: "usage":null}\n\n',
        b'data: [{"usage":null}]\n\n',
        b'{"a":1,"usage":null}\n\n',
        b'x-data: {"a":1,"usage":null}\n\n',
        b'data: {"a":"\xff","x":{"usage":null}}\n\n',
        b'event: error\ndata: {"error":{"message":"usage","usage":null}}\n\n',
    ],
)
def test_whatever_else_comes_goes_on_as_it_is(sent):
    assert removed([sent]) == sent
    assert removed(split(sent, range(1, len(sent)))) == sent


def test_an_event_goes_on_as_soon_as_it_is_whole():
    remover = UsageRemover()
    one = data_line(event("Hello")).encode()
    assert remover.feed(one[:-1]) == b""
    assert remover.feed(one[-1:] + b"data:") == one
    assert remover.feed(b" [DONE]\n\n") == b"data: [DONE]\n\n"


@pytest.mark.parametrize("step", [16_384, 999_999, 10**7])
def test_an_event_too_long_to_be_held_goes_on_untouched(step):
    huge = b'data: {"choices":[],"x":"' + b"y" * (LONGEST_EVENT + 100_000) + b'","usage":null}\n\n'
    asked, plain = streams(["Hello"])
    sent = huge + asked
    remover = UsageRemover()
    out, most = [], 0
    for piece in split(sent, range(step, len(sent), step)):
        out.append(remover.feed(piece))
        most = max(most, len(remover._held))
    assert b"".join(out) == huge + plain
    assert most <= LONGEST_EVENT


@settings(max_examples=60)
@given(
    st.lists(
        st.binary(max_size=30)
        | st.sampled_from([b"data: ", b"\n\n", b"\r\n\r\n", b'"usage":null', b'{"a":1,', b"}", b"\n"])
    )
)
def test_no_bytes_are_lost_or_made(pieces):
    """Noise goes through, however it is cut."""
    body = b"".join(pieces)
    out = removed(pieces)
    assert out == removed([body])
    if b'"usage"' not in body:
        assert out == body


def test_a_stream_cut_anywhere_shows_nothing_the_client_did_not_ask_for():
    """What goes on is the beginning of what would have come without the question."""
    chunk = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
    asked = chunk[:-3] + b',"usage":null}\n\n'
    told = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\n'
    plain, stream = chunk * 2 + b"data: [DONE]\n\n", asked * 2 + told + b"data: [DONE]\n\n"
    for end in range(len(stream)):
        remover = UsageRemover()
        passed = remover.feed(stream[:end]) + remover.close(cut=True)
        assert plain.startswith(passed), (end, passed)
        assert b"usage" not in passed

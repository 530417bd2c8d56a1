"""What a body says: the same as a whole parse says, of every body, without ever raising."""

import base64
import gzip
import json
import time
import zlib

import pytest

from hypothesis import given
from hypothesis import strategies as st

from codex_manager.core import body as body_module
from codex_manager.core.body import BodyFacts, facts


JSON_TYPE = "application/json"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"gpt-4o","messages":[]}', BodyFacts(model="gpt-4o")),
        (b'{"messages":[{"model":"inner","stream":true}],"model":"gpt-4o"}', BodyFacts(model="gpt-4o")),
        (b'{"model":"a","model":"b"}', BodyFacts(model="b")),
        (b'{"mod\\u0065l":"gpt-4o"}', BodyFacts(model="gpt-4o")),
        (b'{"model":"a\\"b\\u00e9"}', BodyFacts(model='a"bé')),
        (b'{"model":"ft:gpt-4o:org::id"}', BodyFacts(model="ft:gpt-4o:org::id")),
        (b'{"model":null}', BodyFacts()),
        (b'{"model":""}', BodyFacts()),
        (b'{"model":7}', BodyFacts()),
        (b'{"model":["gpt-4o"]}', BodyFacts()),
        (b'{"model":"' + b"x" * 257 + b'"}', BodyFacts()),
        (b'{"stream":true}', BodyFacts(stream=True)),
        (b'{"stream":false}', BodyFacts()),
        (b'{"stream":"true"}', BodyFacts()),
        (b'{"stream":1}', BodyFacts()),
        (b'{"stream":true,"stream":false}', BodyFacts()),
        (b'{"prompt_cache_key":"talk 1"}', BodyFacts(prompt_cache_key="talk 1")),
        (b'{"prompt_cache_key":7,"messages":[{"prompt_cache_key":"inner"}]}', BodyFacts()),
        (b'{"prompt_cache_key":"' + b"x" * 1025 + b'"}', BodyFacts()),
        (b'{"stream_options":null}', BodyFacts(stream_options=True)),
        (b'{"messages":[{"stream_options":{}}]}', BodyFacts()),
        (b'{"background":true}', BodyFacts(background=True)),
        (b'{"background":null}', BodyFacts()),
        (b'{"conversation":"conv_1"}', BodyFacts(conversation=True)),
        (b'{"conversation":{"id":"conv_1"}}', BodyFacts(conversation=True)),
        (b'{"conversation":null}', BodyFacts()),
        (b'{"max_output_tokens":100}', BodyFacts(max_output_tokens=100)),
        (b'{"max_completion_tokens":100}', BodyFacts(max_output_tokens=100)),
        (b'{"max_tokens":100}', BodyFacts(max_output_tokens=100)),
        (b'{"max_tokens":100,"max_completion_tokens":50}', BodyFacts(max_output_tokens=50)),
        (b'{"max_tokens":true}', BodyFacts()),
        (b'{"max_tokens":-1}', BodyFacts()),
        (b'{"max_tokens":1e3}', BodyFacts()),
        (b'{"max_tokens":' + b"9" * 300 + b"}", BodyFacts()),
        (b'{"model":"m","seed":' + b"9" * 5000 + b"}", BodyFacts(model="m")),
        (b'{"model":"m","seed":' + b"9" * 5000 + b",}", BodyFacts(malformed=True)),
        (b'{"model":"m","x":NaN,"y":-Infinity}', BodyFacts(model="m")),
        (b'  \r\n\t{"model":"m"}\n', BodyFacts(model="m")),
        ('\ufeff{"model":"m"}'.encode(), BodyFacts(model="m")),
        ('{"model":"m"}'.encode("utf-16"), BodyFacts(model="m")),
        ('{"model":"m"}'.encode("utf-32-le"), BodyFacts(model="m")),
        ('{"model":"модель"}'.encode(), BodyFacts(model="модель")),
        (b"{}", BodyFacts()),
        (b"[]", BodyFacts()),
        (b'"model"', BodyFacts()),
        (b"null", BodyFacts()),
        (b"", BodyFacts()),
        (b"{", BodyFacts(malformed=True)),
        (b'{"model":"m"', BodyFacts(malformed=True)),
        (b"{'model':'m'}", BodyFacts(malformed=True)),
        (b'{"model":"m"} trailing', BodyFacts(malformed=True)),
        (b'{"model":"\xff\xfe"}', BodyFacts(malformed=True)),
        (b"\x00\x01\x02", BodyFacts(malformed=True)),
        (b"model=gpt-4o", BodyFacts(malformed=True)),
        (b'{"model":"m","x":' + b"[" * 200_000, BodyFacts(malformed=True)),
        (b'{"x":' + b"[" * 200_000 + b"]" * 200_000 + b',"model":"m"}', BodyFacts(malformed=True)),
    ],
)
def test_a_json_body_says(body, expected):
    assert facts(JSON_TYPE, body) == expected


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json; charset=utf-8", b'{"model":"m"}', BodyFacts(model="m")),
        ("Application/JSON", b'{"model":"m"}', BodyFacts(model="m")),
        ("application/vnd.api+json", b'{"model":"m"}', BodyFacts(model="m")),
        (None, b'{"model":"m"}', BodyFacts(model="m")),
        ("", b' \n{"model":"m"}', BodyFacts(model="m")),
        ("application/x-www-form-urlencoded", b'{"model":"m"}', BodyFacts(model="m")),
        ("text/plain", b'{"model":"m"}', BodyFacts(model="m")),
        ("text/plain", b"{not json", BodyFacts(malformed=True)),
        ("application/x-www-form-urlencoded", b"model=m", BodyFacts()),
        ("application/sdp", b"v=0", BodyFacts()),
        (None, b"\x00\x01", BodyFacts()),
        (";;;", b"x", BodyFacts()),
    ],
)
def test_the_content_type_is_believed_within_reason(content_type, body, expected):
    assert facts(content_type, body) == expected


@pytest.mark.parametrize(
    ("facts_", "creates_state"),
    [
        (BodyFacts(), False),
        (BodyFacts(stream=True), False),
        (BodyFacts(background=True), True),
        (BodyFacts(conversation=True), True),
    ],
)
def test_a_background_job_and_a_conversation_leave_something_behind(facts_, creates_state):
    assert facts_.creates_state is creates_state


# --- agreement with a whole parse -----------------------------------------------------------------------------------

KEYS = st.sampled_from(["model", "stream", "background", "messages", 'mo"del', "\\model", "é"]) | st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.sampled_from(["gpt-4o", 'a"\\', "\\", "\\\\"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip
PAIRS = st.lists(st.tuples(KEYS, VALUES), max_size=8)


def written(pairs, ascii_only):
    """An object with keys given more than once, as no dict could have them."""
    one = [
        f"{json.dumps(key, ensure_ascii=ascii_only)}: {json.dumps(value, ensure_ascii=ascii_only)}"
        for key, value in pairs
    ]
    return ("{" + ", ".join(one) + "}").encode("utf-8", "surrogatepass")


def expected_facts(body):
    data = json.loads(body)
    model = data.get("model")
    return BodyFacts(
        model=model if isinstance(model, str) and 0 < len(model) <= 256 else None,
        stream=data.get("stream") is True,
        background=data.get("background") is True,
    )


@given(PAIRS, st.booleans())
def test_the_facts_are_those_of_a_whole_parse(pairs, ascii_only):
    body = written(pairs, ascii_only)
    assert facts(JSON_TYPE, body) == expected_facts(body)


@given(PAIRS, st.booleans())
def test_taking_out_long_strings_changes_no_fact(pairs, ascii_only):
    """The way for photographs, taken here for every body and with a short idea of long."""
    body = written(pairs, ascii_only)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body_module, "LARGE", 0)
        patch.setattr(body_module, "SPARSE", 0)
        patch.setattr(body_module, "LONG_STRING", 6 * 30 + 2)
        assert facts(JSON_TYPE, body) == expected_facts(body)


@pytest.mark.parametrize("escape", ["", "\\\\", '\\"', '\\\\\\"', "\\\\\\\\"])
def test_a_photograph_is_passed_over(escape):
    """A large body of one long string, with quotes and backslashes at its end."""
    picture = base64.b64encode(bytes(900_000)).decode() + escape
    body = f'{{"model":"a","input":[{{"image":"{picture}","model":"inner"}}],"model":"gpt-4o","stream":true}}'.encode()
    assert len(body) > body_module.LARGE
    assert json.loads(body)["model"] == "gpt-4o"
    assert facts(JSON_TYPE, body) == BodyFacts(model="gpt-4o", stream=True)


@pytest.mark.parametrize("end", [b"", b'"', b'"}', b"\\"])
def test_a_large_body_that_is_cut_off_is_malformed(end):
    assert facts(JSON_TYPE, b'{"model":"m","image":"' + b"A" * 600_000 + end).malformed is (end != b'"}')


def test_a_large_body_in_utf_16_is_read_whole():
    body = json.dumps({"model": "m", "image": "A" * 300_000}).encode("utf-16-le")
    assert facts(JSON_TYPE, body).model == "m"


@given(
    st.none() | st.text(max_size=30) | st.sampled_from([JSON_TYPE, "multipart/form-data; boundary=B"]),
    st.binary(max_size=200),
    st.none() | st.text(max_size=8) | st.sampled_from(["gzip", "deflate"]),
)
def test_nothing_ever_raises(content_type, body, encoding):
    facts(content_type, body, encoding)
    facts(content_type, b"{" + body, encoding)
    facts(content_type, b"--B\r\n" + body, encoding)


# --- forms ----------------------------------------------------------------------------------------------------------


def form(*parts, boundary="B", end=b"--\r\n"):
    sent = b"".join(f"--{boundary}\r\n{head}\r\n\r\n".encode() + content + b"\r\n" for head, content in parts)
    return sent + f"--{boundary}".encode() + end


def field(name, value):
    return f'Content-Disposition: form-data; name="{name}"', value


FILE = 'Content-Disposition: form-data; name="file"; filename="speech.mp3"\r\nContent-Type: audio/mpeg'
FORM = "multipart/form-data; boundary=B"


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        (FORM, form(field("model", b"whisper-1"), (FILE, b"\x00\xff")), BodyFacts(model="whisper-1")),
        (FORM, form((FILE, b"\x00\xff"), field("model", b"whisper-1")), BodyFacts(model="whisper-1")),
        (FORM, form(field("model", b"m"), field("stream", b"true")), BodyFacts(model="m", stream=True)),
        (FORM, form(field("stream", b"True")), BodyFacts(stream=True)),
        (FORM, form(field("stream", b"false")), BodyFacts()),
        (FORM, form(field("model", b"a"), field("model", b"b")), BodyFacts(model="b")),
        (FORM, form(("content-disposition:form-data;name=model", b"m")), BodyFacts(model="m")),
        (
            FORM,
            form(("Content-Type: text/plain; name=stream\r\nContent-Disposition: form-data; name=model", b"m")),
            BodyFacts(model="m"),
        ),
        (FORM, form(('Content-Disposition: form-data; name="file"; filename="model"', b"x")), BodyFacts()),
        (FORM, form(('Content-Disposition: form-data; name="model"; filename="m.txt"', b"x")), BodyFacts()),
        (FORM, form((FILE, b'\r\n--BC\r\nContent-Disposition: form-data; name="model"\r\n\r\nevil')), BodyFacts()),
        (FORM, form(field("model", b"x" * 300)), BodyFacts()),
        (FORM, form(field("model", b"x" * 5000)), BodyFacts()),
        (FORM, form(field("model", b"\xff")), BodyFacts(model="\ufffd")),
        (FORM, b"preamble\r\n" + form(field("model", b"m")), BodyFacts(model="m")),
        (FORM, form(), BodyFacts()),
        (
            'multipart/form-data; charset=utf-8; boundary="a b"',
            form(field("model", b"m"), boundary="a b"),
            BodyFacts(model="m"),
        ),
        ("Multipart/Form-Data; BOUNDARY=B", form(field("model", b"m")), BodyFacts(model="m")),
        ("multipart/form-data", form(field("model", b"m")), BodyFacts(malformed=True)),
        (FORM, b"nothing of the kind", BodyFacts(malformed=True)),
        (FORM, b'--B\r\nContent-Disposition: form-data; name="model"\r\n\r\nm', BodyFacts(malformed=True)),
        (FORM, b"--B\r\n" + b"x" * 20_000, BodyFacts(malformed=True)),
    ],
)
def test_a_form_says(content_type, body, expected):
    found = facts(content_type, body)
    assert found == expected


def test_a_form_of_very_many_parts_ends_the_search():
    began = time.perf_counter()
    facts(FORM, form(*[field("x", b"y")] * 50_000))
    assert time.perf_counter() - began < 0.5


# --- compressed -----------------------------------------------------------------------------------------------------

PLAIN = b'{"model":"gpt-4o","stream":true}'


@pytest.mark.parametrize(
    ("encoding", "body", "expected"),
    [
        ("gzip", gzip.compress(PLAIN, mtime=0), BodyFacts(model="gpt-4o", stream=True)),
        (" GZIP ", gzip.compress(PLAIN, mtime=0), BodyFacts(model="gpt-4o", stream=True)),
        ("deflate", zlib.compress(PLAIN), BodyFacts(model="gpt-4o", stream=True)),
        ("identity", PLAIN, BodyFacts(model="gpt-4o", stream=True)),
        ("", PLAIN, BodyFacts(model="gpt-4o", stream=True)),
        ("zstd", b"\x28\xb5\x2f\xfd", BodyFacts()),
        ("br", b"\x8b", BodyFacts()),
        ("gzip, gzip", gzip.compress(PLAIN, mtime=0), BodyFacts()),
        ("gzip", PLAIN, BodyFacts()),
        ("gzip", gzip.compress(PLAIN, mtime=0)[:20], BodyFacts(malformed=True)),
    ],
)
def test_a_compressed_body_is_read_when_it_can_be(encoding, body, expected):
    assert facts(JSON_TYPE, body, encoding) == expected


def test_a_body_that_unpacks_without_end_is_left_alone(monkeypatch):
    monkeypatch.setattr(body_module, "LARGEST_DECODED", 1000)
    assert facts(JSON_TYPE, gzip.compress(PLAIN + b" " * 10_000), "gzip") == BodyFacts()


# --- measured -------------------------------------------------------------------------------------------------------


@pytest.mark.bench
@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("an agent's turn, 40 kB", json.dumps({"model": "gpt-5", "input": [{"role": "user", "content": "def f(x): return x\n" * 100}] * 20, "stream": True}).encode()),
        ("1 MB of short messages", json.dumps({"model": "gpt-5", "messages": [{"role": "user", "content": "yes\nno"}] * 24_000}).encode()),
        ("1 MB photograph", json.dumps({"model": "gpt-5", "input": "A" * 1_000_000}).encode()),
        ("30 MB photograph", json.dumps({"model": "gpt-5", "input": "A" * 30_000_000}).encode()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_the_price_of_the_facts(what, body, capsys):
    """Printed, not judged: facts against a whole parse, best of several in the same run."""

    def best(call):
        times = []
        for _ in range(20 if len(body) < 100_000 else 5):
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
        return min(times) * 1e6

    with capsys.disabled():
        print(
            f"\n{what}: facts {best(lambda: facts(JSON_TYPE, body)):.0f} µs, json.loads {best(lambda: json.loads(body)):.0f} µs"
        )

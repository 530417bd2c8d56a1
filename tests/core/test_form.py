"""The parts of a form are where they are said to be, and a broken form is none."""

import pytest

from codex_manager.core.form import Part, parts


FORM = "multipart/form-data; boundary=x"
BODY = (
    b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b'--x\r\ncontent-disposition: form-data; name=file; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n--xy\r\n'
    b'\r\n--x\r\nContent-Disposition: form-data; name="empty"\r\n\r\n\r\n--x--\r\n'
)


def test_parts_are_named_and_placed():
    found = parts(FORM, BODY)
    assert found is not None
    assert [(part.name, part.is_file, BODY[part.begin : part.end]) for part in found] == [
        ("model", False, b"whisper-1"),
        ("file", True, b"RIFF\r\n--xy\r\n"),
        ("empty", False, b""),
    ]


def test_a_preamble_and_a_quoted_boundary_are_allowed():
    found = parts('multipart/form-data; boundary="x"', b"hello\r\n" + BODY)
    assert found is not None
    assert found[0] == Part("model", False, 60, 69)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", BODY),
        (FORM, b""),
        (FORM, b"{}"),
        (FORM, BODY[:-9]),
        (FORM, b"--x\r\n\r\n"),
        (FORM, b"--x\r\n" + b"a" * 10_000 + b"\r\n\r\n1\r\n--x--"),
    ],
)
def test_what_is_no_form_has_no_parts(content_type, body):
    assert parts(content_type, body) is None


def test_a_part_without_a_name_is_passed_over():
    assert parts(FORM, b"--x\r\nContent-Type: text/plain\r\n\r\n1\r\n--x--") == []

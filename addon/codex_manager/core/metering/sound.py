"""How long a sound file is, by its own headers, without decoding it.

For models billed by the minute whose answer does not say how many there were. WAV, FLAC, Ogg, MP4 and MP3 with a count
of frames say it exactly, other MP3 nearly; of the rest (WebM as browsers record it says nothing) the size gives an idea.

Law: never raises, never looks at more than a few places of the file, and never says more than its size allows.
"""

from typing import Final


__all__ = ["duration"]

BYTES_PER_S: Final = 4000
"""Of a file that does not say: 32 kbit/s, what browsers record speech with. Music has four times as much."""
SLOWEST_BYTES_PER_S: Final = 250
"""2 kbit/s; no codec of speech that OpenAI accepts has less. A file that claims to be longer is not believed."""
_LOOK: Final = 64 * 1024

_MP3_RATES: Final = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG 1, layer III, kbit/s
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG 2 and 2.5
)
_MP3_SAMPLES: Final = (44100, 48000, 32000)


def duration(file: memoryview) -> float:
    """Seconds; 0 for an empty file."""
    if not file:
        return 0.0
    head = bytes(file[:_LOOK])
    said = 0.0
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        said = _wav(head, len(file))
    elif head[:4] == b"fLaC":
        said = _flac(head)
    elif head[:4] == b"OggS":
        said = _ogg(head, bytes(file[-_LOOK:]))
    elif head[4:8] == b"ftyp":
        said = _mp4(head) or _mp4(bytes(file[-_LOOK:]))
    elif head[:3] == b"ID3" or (head[0] == 0xFF and len(head) > 1 and head[1] & 0xE0 == 0xE0):
        said = _mp3(file, head)
    if 0 < said <= len(file) / SLOWEST_BYTES_PER_S + 1:
        return said
    return len(file) / BYTES_PER_S


def _number(data: bytes, at: int, size: int, order: str = "big") -> int:
    return int.from_bytes(data[at : at + size], "little" if order == "little" else "big")


def _wav(head: bytes, size: int) -> float:
    at = head.find(b"fmt ")
    per_second = _number(head, at + 16, 4, "little") if at >= 0 else 0
    return max(size - 44, 0) / per_second if per_second else 0.0


def _flac(head: bytes) -> float:
    """STREAMINFO is always first: 20 bits of sample rate, 36 bits of samples."""
    packed = _number(head, 18, 8)
    rate = packed >> 44
    return (packed & (1 << 36) - 1) / rate if rate else 0.0


def _ogg(head: bytes, tail: bytes) -> float:
    """The last page's position, in samples."""
    at = tail.rfind(b"OggS")
    position = _number(tail, at + 6, 8, "little") if at >= 0 else 0
    vorbis = head.find(b"\x01vorbis")
    rate = _number(head, vorbis + 12, 4, "little") if vorbis >= 0 else 48000  # Opus always counts at 48 kHz
    return position / rate if rate else 0.0


def _mp4(piece: bytes) -> float:
    """`mvhd`: version, flags, two times, then time scale and duration; the times have 4 bytes or 8."""
    at = piece.find(b"mvhd")
    if at < 0:
        return 0.0
    wide = piece[at + 4 : at + 5] == b"\x01"
    scale = _number(piece, at + (24 if wide else 16), 4)
    length = _number(piece, at + (28 if wide else 20), 8 if wide else 4)
    return length / scale if scale else 0.0


def _mp3(file: memoryview, head: bytes) -> float:
    """A frame's header says the rate; a first frame named `Xing` or `Info` says how many frames there are."""
    begin = 0
    if head[:3] == b"ID3" and len(head) >= 10:
        begin = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])  # seven bits each
    frame = bytes(file[begin : begin + 256])
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return 0.0
    version = frame[1] >> 3 & 3  # 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
    rate_index, sample_index = frame[2] >> 4, frame[2] >> 2 & 3
    if version == 1 or rate_index == 15 or sample_index == 3:
        return 0.0
    samples_per_s = _MP3_SAMPLES[sample_index] >> (0 if version == 3 else 1 if version == 2 else 2)
    for name in (b"Xing", b"Info"):
        at = frame.find(name)
        if at >= 0 and frame[at + 7 : at + 8] and frame[at + 7] & 1:
            return _number(frame, at + 8, 4) * (1152 if version == 3 else 576) / samples_per_s
    rate = _MP3_RATES[0 if version == 3 else 1][rate_index]
    return max(len(file) - begin, 0) / (rate * 125) if rate else 0.0

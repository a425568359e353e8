"""WebSocket frames as bytes (RFC 6455 §5): what a server writes, and what it reads. No extensions."""

import struct
from typing import NamedTuple

from websockets.utils import apply_mask

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
KNOWN = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
MOST_IN_CONTROL = 125

# Close codes of RFC 6455 §7.4.1 that we say.
NORMAL = 1000
PROTOCOL_ERROR = 1002
NO_CODE = 1005
ABNORMAL = 1006
NOT_UTF8 = 1007
TOO_BIG = 1009
INTERNAL_ERROR = 1011
RESTART = 1012


class FrameError(Exception):
    """The other side broke the protocol; `code` is what to close with."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Received(NamedTuple):
    is_last: bool
    opcode: int
    payload: bytes
    end: int  # where the next frame begins


def written(opcode: int, payload: bytes) -> bytes:
    """A whole message in one frame, as a server sends it: the same bytes for everybody."""
    length = len(payload)
    if length < 126:
        return bytes((0x80 | opcode, length)) + payload
    if length < 65_536:
        return struct.pack("!BBH", 0x80 | opcode, 126, length) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, length) + payload


def payload_of(frame: bytes) -> bytes:
    """The payload of a frame that `written` made."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


def read(buffer: bytes, start: int, most: int) -> Received | None:
    """The client's frame that begins at `start`; None when it has not come whole.

    Raises FrameError for what no client may send, and for a payload of more than `most` bytes before it has come.
    """
    have = len(buffer) - start
    if have < 2:
        return None
    first, second = buffer[start], buffer[start + 1]
    opcode, is_last, length = first & 0x0F, bool(first & 0x80), second & 0x7F
    if first & 0x70 or opcode not in KNOWN or not second & 0x80:
        raise FrameError(PROTOCOL_ERROR)
    if opcode >= CLOSE and (length > MOST_IN_CONTROL or not is_last):
        raise FrameError(PROTOCOL_ERROR)
    head = 2
    if length >= 126:
        head = 4 if length == 126 else 10
        if have < head:
            return None
        [length] = struct.unpack_from("!H" if head == 4 else "!Q", buffer, start + 2)
    if length > most:
        raise FrameError(TOO_BIG)
    body = start + head + 4
    if len(buffer) < body + length:
        return None
    mask = buffer[body - 4 : body]
    payload = apply_mask(buffer[body : body + length], mask) if length else b""
    return Received(is_last, opcode, payload, body + length)


def close_code(payload: bytes) -> int:
    """What a close frame says; NO_CODE when it says nothing. Raises FrameError for what none may say."""
    if not payload:
        return NO_CODE
    if len(payload) < 2:
        raise FrameError(PROTOCOL_ERROR)
    [code] = struct.unpack_from("!H", payload)
    if not (3000 <= code < 5000 or (1000 <= code <= 1014 and code not in (1004, NO_CODE, ABNORMAL))):
        raise FrameError(PROTOCOL_ERROR)
    try:
        payload[2:].decode()
    except UnicodeDecodeError as error:
        raise FrameError(NOT_UTF8) from error
    return code


def close_payload(code: int) -> bytes:
    return b"" if code == NO_CODE else struct.pack("!H", code)

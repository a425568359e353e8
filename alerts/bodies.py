"""A request's body: taken in up to a limit, and out of its Content-Encoding."""

import zlib
from collections.abc import Mapping
from http import HTTPStatus

import zstandard
from asgiref.typing import ASGIReceiveCallable

from openalert.exceptions import OpenAlertError

# As sent, and again as decoded: a small body must not become a large one.
MAX_BODY_BYTES = 4 * 1024 * 1024


class TooLarge(OpenAlertError):
    code = "too_large"
    detail = f"The body may have at most {MAX_BODY_BYTES} bytes; send the alerts in several requests."
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Incomplete(OpenAlertError):
    code = "incomplete"
    detail = "The body broke off."


class UnknownEncoding(OpenAlertError):
    code = "unknown_encoding"
    detail = "Send the body as it is, or with Content-Encoding gzip, deflate or zstd."
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class MalformedEncoding(OpenAlertError):
    code = "malformed_encoding"
    detail = "The body is not what its Content-Encoding says."


async def read_body(receive: ASGIReceiveCallable, headers: Mapping[str, str]) -> bytes:
    """The body, decoded. Raises TooLarge, Incomplete, UnknownEncoding, MalformedEncoding."""
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        raise TooLarge
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Incomplete
        part = message.get("body", b"")
        body = body + part if body else part
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge
        if not message.get("more_body", False):
            break
    encoding = headers.get("content-encoding")
    return decoded(body, encoding) if encoding else body


def decoded(body: bytes, encoding: str) -> bytes:
    """Raises TooLarge, UnknownEncoding, MalformedEncoding."""
    match encoding.strip().lower():
        case "identity":
            return body
        case "gzip" | "x-gzip" | "deflate":
            return _inflated(body)
        case "zstd":
            return _from_zstd(body)
    raise UnknownEncoding


def _inflated(body: bytes) -> bytes:
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # the header says whether it is gzip's or zlib's
    try:
        found = inflater.decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error as cause:
        raise MalformedEncoding from cause
    if len(found) > MAX_BODY_BYTES:
        raise TooLarge
    if not inflater.eof:
        raise MalformedEncoding
    return found


def _from_zstd(body: bytes) -> bytes:
    try:
        reader = zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024).stream_reader(body)
        found = reader.read(MAX_BODY_BYTES + 1)
    except zstandard.ZstdError as cause:
        raise MalformedEncoding from cause
    if len(found) > MAX_BODY_BYTES:
        raise TooLarge
    if body and not found and zstandard.frame_content_size(body) != 0:
        raise MalformedEncoding
    return found

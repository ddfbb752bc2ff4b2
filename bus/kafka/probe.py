"""Asks a broker one question in Kafka's own protocol, without a client library."""

from __future__ import annotations

import errno
import random
import socket
import struct
from typing import Final

API_VERSIONS: Final = 18
METADATA: Final = 3
_CLIENT = b"shuniu-probe"

SERVER_PORTS: Final = range(20_000, 32_768)
"""Below those that Linux, macOS and Windows give to outgoing connections: of those, one that is free now is taken by
any client before a server that starts slowly listens on it, or while a server is restarted."""


def serves(port: int, timeout: float = 1.0) -> bool:
    """True if the broker on loopback answers Metadata v1 and counts at least one broker: it is unfenced and in service.

    An open port says less: Kafka opens it seconds before it answers.
    """
    answer = _ask(port, METADATA, 1, struct.pack(">i", 0), timeout)  # no topics
    return len(answer) >= 8 and struct.unpack_from(">i", answer, 4)[0] > 0


def answers(port: int, timeout: float = 1.0) -> bool:
    """True if the broker answers ApiVersions v0: the one question that needs no login."""
    return len(_ask(port, API_VERSIONS, 0, b"", timeout)) >= 6


def _ask(port: int, api: int, version: int, body: bytes, timeout: float) -> bytes:
    """The response with its correlation id, without its length; empty if there was none."""
    header = struct.pack(">hhih", api, version, 1, len(_CLIENT)) + _CLIENT
    request = header + body
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as stream:
                length = stream.read(4)
                return stream.read(struct.unpack(">i", length)[0]) if len(length) == 4 else b""
    except OSError:
        return b""


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now, and that no outgoing connection is given either.

    Raises:
        OSError: all are taken.
    """
    choice = random.SystemRandom()  # others may have seeded the common one alike
    for port in choice.sample(SERVER_PORTS, len(SERVER_PORTS)):
        if is_free(port):
            return port
    raise OSError(errno.EADDRINUSE, "no port of loopback is free")


def is_free(port: int) -> bool:
    """True if a server could listen on the port of loopback now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java does: not hindered by TIME_WAIT
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

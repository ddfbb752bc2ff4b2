from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import aiohttp

from bus.http_server import HttpServer

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def echo(_: Scope, receive: Receive, send: Send) -> None:
    """An answer of a head and a body, as every application sends it."""
    request = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": request["body"]})


async def test_an_answers_body_does_not_wait_for_its_head_to_be_acknowledged() -> None:
    server = HttpServer(echo, "127.0.0.1", 0)
    server.bind()
    await server.serve("echo")
    taken = []
    try:
        async with aiohttp.ClientSession() as session:
            for _ in range(50):
                begin = time.perf_counter()
                async with session.post(server.url, data=b"ok") as answer:
                    assert await answer.read() == b"ok"
                taken.append(time.perf_counter() - begin)
    finally:
        await server.stop()

    assert median(taken) < 0.03, "Linux acknowledges after 40 ms what nothing is sent back for"

"""The quick provider keeps its connections, and answers as it is asked."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from unittest import mock
from urllib.parse import urlsplit

import overhead
import pytest
from harness import Worker
from quick_provider import COMPLETION, STREAM, STREAMED_WORDS, WHOLE, Connection


class TestQuickProvider:
    @pytest.fixture
    def client(self) -> Iterator[socket.socket]:
        with closing(Worker(sys.executable, overhead.PROVIDER)) as provider:
            url = urlsplit(provider.ask({}))
            with socket.create_connection((url.hostname, url.port), timeout=10) as client:
                yield client

    @staticmethod
    def request(stream: bool) -> bytes:
        body = json.dumps({"model": "m", "stream": stream}).encode()
        return b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    @staticmethod
    def answer(client: socket.socket) -> bytes:
        response = http.client.HTTPResponse(client)
        response.begin()
        assert response.status == 200
        return response.read()

    def test_one_connection(self, client: socket.socket) -> None:
        """A connection carries one request after another, each answered in the way it asks for."""
        client.sendall(self.request(stream=False))
        assert json.loads(self.answer(client)) == COMPLETION
        client.sendall(self.request(stream=True))
        events = [line.removeprefix(b"data: ") for line in self.answer(client).splitlines() if line]
        assert events.pop() == b"[DONE]"
        deltas = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events]
        assert "".join(deltas) == "".join(STREAMED_WORDS)

    def test_pieces(self) -> None:
        """Requests may arrive in any pieces, two of them in one."""
        one, two = self.request(stream=False), self.request(stream=True)
        for pieces in ([one, two], [one + two], [one + two[:9], two[9:]], [bytes([byte]) for byte in one + two]):
            transport = mock.Mock(spec=asyncio.Transport)
            connection = Connection()
            connection.connection_made(transport)
            for piece in pieces:
                connection.data_received(piece)
            assert transport.write.call_args_list == [mock.call(WHOLE), mock.call(STREAM)]

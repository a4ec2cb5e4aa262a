"""The client against servers that do as they like: every exchange ends, with the right word for how."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from load.transport.client import Client, Endpoint, Pool
from load.transport.exchange import Reply

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Talk = Callable[[socket.socket], None]


@contextmanager
def server(*talks: Talk, tls: ssl.SSLContext | None = None) -> Generator[int]:
    """A server that has one conversation per connection, in a thread (gevent's loop is the client's)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            for talk in talks:
                connection, _ = listener.accept()
                with connection:
                    wrapped = tls.wrap_socket(connection, server_side=True) if tls else connection
                    try:
                        talk(wrapped)
                    except OSError:
                        pass

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


def says(*parts: bytes, requests: int = 1) -> Talk:
    def talk(connection: socket.socket) -> None:
        for _ in range(requests):
            connection.recv(65536)
            for part in parts:
                connection.sendall(part)

    return talk


def ask(
    port: int, times: int = 1, total: float = 5.0, body_cap: int = 1 << 20, tls: ssl.SSLContext | None = None
) -> list[Reply]:
    return talk_with(
        Client(
            Endpoint("127.0.0.1" if tls is None else "localhost", port, tls, total=total, body_cap=body_cap)
        ),
        times,
    )


def talk_with(client: Client, times: int) -> list[Reply]:
    client.start()
    pool = Pool()
    try:
        return [client.send(pool, REQUEST) for _ in range(times)]
    finally:
        pool.close()
        client.stop()


LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def test_a_length_a_chunked_body_and_one_that_ends_with_the_connection() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    closed = b"HTTP/1.1 200 OK\r\n\r\nhello"
    for answer in (LENGTH, chunked, closed):
        with server(says(answer)) as port:
            (reply,) = ask(port)
        assert (reply.status, reply.body, reply.failure) == (200, b"hello", None)
        assert reply.t_begun <= reply.t_first <= reply.t_end


def test_a_connection_is_kept_and_an_answer_of_its_own_belongs_to_each_request() -> None:
    with server(says(LENGTH, requests=3)) as port:
        replies = ask(port, times=3)
    assert [r.reused for r in replies] == [False, True, True]
    assert [r.body for r in replies] == [b"hello"] * 3


def test_a_kept_connection_that_the_server_closed_is_not_its_failure() -> None:
    with server(says(LENGTH), says(LENGTH)) as port:
        replies = ask(port, times=2)
    assert [r.failure for r in replies] == [None, None]


def test_a_request_that_is_sent_again_is_counted() -> None:
    def hangs_up_on_the_second(connection: socket.socket) -> None:
        says(LENGTH)(connection)
        connection.recv(65536)

    with server(hangs_up_on_the_second, says(LENGTH)) as port:
        client = Client(Endpoint("127.0.0.1", port))
        replies = talk_with(client, 2)
    assert [r.failure for r in replies] == [None, None]
    assert (client.resent, client.connections) == (1, 2)


def test_informational_responses_come_before_the_real_one() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    with server(says(hints + LENGTH)) as port:
        (reply,) = ask(port)
    assert (reply.status, reply.body, reply.header(b"link")) == (200, b"hello", None)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"", "reset"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "reset"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "reset"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "reset"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "protocol"),
        (b"SSH-2.0-OpenSSH_9\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"a" * 2_000_000, "too_large"),
    ],
)
def test_a_broken_answer_has_a_name(answer: bytes, failure: str) -> None:
    with server(says(answer)) as port:
        (reply,) = ask(port)
    assert reply.failure == failure
    assert "\n" not in reply.detail


@pytest.mark.parametrize(
    ("answer", "failure"),
    [(b"", "timeout_headers"), (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhe", "timeout_body")],
)
def test_silence_ends_at_the_deadline(answer: bytes, failure: str) -> None:
    over = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)
        over.wait(5)

    with server(talk) as port:
        (reply,) = ask(port, total=0.3)
        over.set()
    assert reply.failure == failure
    assert 0.3 <= reply.t_end - reply.t_begun < 3


def test_each_receive_has_its_own_time() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    go = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(head + b"1\r\na\r\n1\r\nb\r\n")
        go.wait(0.2)
        connection.sendall(b"1\r\nc\r\n0\r\n\r\n")

    with server(talk) as port:
        (reply,) = ask(port)
    assert [data for _, data in reply.pieces] == [b"ab", b"c"]
    assert reply.pieces[1][0] - reply.pieces[0][0] == pytest.approx(0.2, abs=0.15)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem",
         "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


def test_tls_with_a_certificate_that_is_trusted_and_one_that_is_not(certificate: Path) -> None:
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    trusting = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    with server(says(LENGTH, requests=2), tls=theirs) as port:
        replies = ask(port, times=2, tls=trusting)
    assert [(r.status, r.body, r.reused) for r in replies] == [(200, b"hello", False), (200, b"hello", True)]


def test_an_unknown_certificate_is_a_failure_of_tls(certificate: Path) -> None:
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")

    def refused(connection: socket.socket) -> None:
        with pytest.raises((ssl.SSLError, OSError)):
            theirs.wrap_socket(connection, server_side=True)

    with server(refused) as port:
        (reply,) = ask(port, tls=ssl.create_default_context())
    assert reply.failure == "tls"
    assert "certificate verify failed" in reply.detail


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert ask(port)[0].failure == "connect"


def test_the_connections_of_a_burst_are_closed_when_nobody_needs_them() -> None:
    pool, closed = Pool(), []
    burst = [SimpleNamespace(dead=False, close=partial(closed.append, n)) for n in range(5)]
    for connection in burst:
        pool.give(connection, 100.0)
    for second in range(1, 15):  # one call at a time: the last used goes first
        pool.give(pool.take(), 100.0 + second)
    assert closed == [0, 1, 2, 3]
    assert pool.take() is burst[4]
    assert pool.take() is None

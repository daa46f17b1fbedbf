"""Measure what Modbus over loopback costs at least: bare sockets, one read and one write."""

from __future__ import annotations

import socket
import statistics
import struct
import threading
import time
from dataclasses import dataclass

READ_INPUTS = bytes.fromhex("0200000006")
WRITE_COIL = bytes.fromhex("050000ff00")
ANSWERS = {READ_INPUTS: bytes.fromhex("020100"), WRITE_COIL: WRITE_COIL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Seconds for reading six inputs, then writing one coil, over one connection."""

    rounds: int
    p50: float
    p99: float


def measure(rounds: int = 2000) -> Floor:
    """Return the floor on this machine now; takes well under a second."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=_answer, args=(server,))
        answering.start()
        try:
            with socket.create_connection(server.getsockname()) as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                taken = [_round(client, number) for number in range(rounds + 100)][100:]
        finally:
            answering.join()
    centiles = statistics.quantiles(taken, n=100)
    return Floor(rounds=rounds, p50=centiles[49], p99=centiles[98])


def _round(client: socket.socket, number: int) -> float:
    before = time.perf_counter()
    for pdu in (READ_INPUTS, WRITE_COIL):
        client.sendall(_frame(number & 0xFFFF, pdu))
        if _next(client)[1] != ANSWERS[pdu]:
            raise AssertionError("the answer is not the expected one")
    return time.perf_counter() - before


def _answer(server: socket.socket) -> None:
    client, _ = server.accept()
    with client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                number, pdu = _next(client)
                client.sendall(_frame(number, ANSWERS[pdu]))
        except EOFError:
            return


def _frame(number: int, pdu: bytes) -> bytes:
    return struct.pack(">HHHB", number, 0, len(pdu) + 1, 1) + pdu


def _next(connection: socket.socket) -> tuple[int, bytes]:
    number, _, length, _ = struct.unpack(">HHHB", _exactly(connection, 7))
    return number, _exactly(connection, length - 1)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


if __name__ == "__main__":
    floor = measure()
    print(f"read + write over loopback: p50 {floor.p50 * 1e6:.0f} µs, p99 {floor.p99 * 1e6:.0f} µs")

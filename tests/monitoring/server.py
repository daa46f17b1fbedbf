"""A real Prometheus on a free loopback port, with the rules of this tree, asked over HTTP."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.broker import free_port
from tests.monitoring.promtool import RULES

LIMIT = 20.0
"""Seconds for anything that it is waited for, on however busy a machine."""
LOOK = 0.1


class Prometheus:
    """Ask it by `query`, or wait by `until`."""

    def __init__(self, url: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.url = url
        self.process = process
        self.log = log
        self.tls: ssl.SSLContext | None = None
        self.headers: dict[str, str] = {}

    def get(self, path: str, **asked: str) -> Any:
        """Return its JSON answer, or raise URLError."""
        url = f"{self.url}{path}?{urllib.parse.urlencode(asked)}"
        request = urllib.request.Request(url, headers=self.headers)
        with urllib.request.urlopen(request, timeout=LIMIT, context=self.tls) as answer:
            return json.load(answer)

    def query(self, expr: str, at: float | None = None) -> list[dict[str, Any]]:
        """Return the series that `expr` gives now, or at a time."""
        when = {} if at is None else {"time": str(at)}
        found: list[dict[str, Any]] = self.get("/api/v1/query", query=expr, **when)["data"][
            "result"
        ]
        return found

    def until(self, expr: str) -> list[dict[str, Any]]:
        """Wait until `expr` gives something, and return it."""
        end = time.monotonic() + LIMIT
        while not (found := self.query(expr)):
            assert time.monotonic() < end, f"{expr} gives nothing\n{self.log.read_text()[-3000:]}"
            time.sleep(LOOK)
        return found

    def ready(self) -> None:
        """Wait until it answers."""
        end = time.monotonic() + LIMIT
        while True:
            assert self.process.poll() is None, self.log.read_text()
            try:
                request = urllib.request.Request(f"{self.url}/-/ready", headers=self.headers)
                urllib.request.urlopen(request, timeout=LIMIT, context=self.tls).close()
            except (urllib.error.URLError, ConnectionError):
                assert time.monotonic() < end, self.log.read_text()
                time.sleep(LOOK)
            else:
                return


@contextmanager
def started(
    folder: Path, config: str, *words: str, port: int = 0, scheme: str = "http"
) -> Iterator[Prometheus]:
    """Run Prometheus with this configuration until the block ends."""
    folder.mkdir(exist_ok=True)
    (folder / "prometheus.yml").write_text(config)
    port = port or free_port()
    log = folder / "log"
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--web.listen-address=127.0.0.1:{port}",
        *words,
    ]
    with log.open("ab") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)
    try:
        yield Prometheus(f"{scheme}://127.0.0.1:{port}", process, log)
    finally:
        process.terminate()
        try:
            process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def quick_rules(folder: Path) -> list[str]:
    """Return copies of the rule files in which every group is reckoned each second."""
    copies = []
    for path in RULES:
        copy = folder / path.name
        copy.write_text(path.read_text().replace("interval: 5m", "interval: 1s"))
        copies.append(str(copy))
    return copies


def configuration(targets: Mapping[str, str], rules: Sequence[str]) -> str:
    """Return a configuration that scrapes these sites (to `host:port`) each second."""
    statics = [{"targets": [target], "labels": {"site": site}} for site, target in targets.items()]
    return json.dumps(
        {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": list(rules),
            "scrape_configs": [{"job_name": "storewarden", "static_configs": statics}],
        }
    )

"""Prove the schemas with a real editor's server: yaml-language-server validates and completes.

./dev prove editor [--server PATH]

It needs Node.js. Without --server, and without yaml-language-server on PATH, npm installs it
into a temporary folder. Every example and every rule file of the docs must be free of remarks;
wrong files must not be; and at some places of half-written files the right words are offered.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge.config.load import load
from edge.config.schema import of_store, schema_devices, schema_site
from edge.config.schema_store import vocabulary
from rules.schema import schema_rules

ROOT = Path(__file__).parents[1]
SERVER = "yaml-language-server@2.0.0"
STORE = ROOT / "examples" / "small_store"
SETTINGS = {
    "yaml": {
        "validate": True,
        "completion": True,
        "customTags": ["!var scalar", "!secret scalar"],
    }
}
BLOCK = re.compile(r"^```yaml\n# \S+\.yaml\n(.*?)^```$", re.M | re.S)
WRONG = {
    "rules": "rules:\n  a: {enabled: maybe, when: {eas_front: eas.alrm}, do: {incident: x}}\n",
    "devices": "devices:\n  door: {type: door, contact: annex.di0, held_after: 30}\n",
    "site": "site: store_1\ntimezone: Europe/Lodnon\n",
}
OFFERED = [
    ("rules", "rules:\n  a:\n    |", {"when", "do", "quiet", "template"}),
    ("rules", "rules:\n  a:\n    priority: |", {"life_safety", "security"}),
    ("rules", "rules:\n  a:\n    cooldown: |", {"10s", "2m"}),
    ("rules", "rules:\n  a:\n    when:\n      |", {"eas_front", "sequence", "daily"}),
    ("rules", "rules:\n  a:\n    when:\n      eas_front: |", {"eas.alarm", "alarm=active"}),
    ("rules", "rules:\n  a:\n    when: {eas_front: eas.alarm, d|}", {"direction"}),
    (
        "rules",
        "rules:\n  a:\n    when:\n      eas_front: eas.alarm\n      direction: |",
        {"in", "out", "unknown"},
    ),
    ("rules", "rules:\n  a:\n    when: {door_front: open}\n    do:\n      - |", {"sound", "goto"}),
    (
        "rules",
        "rules:\n  a:\n    when: {door_front: open}\n    do:\n      - sound: |",
        {"siren_front", "theft_sirens"},
    ),
    ("rules", "rules:\n  a:\n    if: |", {"door_front.contact == 'open'", "site.open"}),
    (
        "rules",
        "tests:\n  - name: t\n    timeline:\n      - at: 0s\n        |",
        {"door_front", "down"},
    ),
    (
        "rules",
        "tests:\n  - name: t\n    expect:\n      - at: 0s\n        |",
        {"sound", "not_fired"},
    ),
    (
        "rules",
        "tests:\n  - name: t\n    given:\n      states:\n        door_front:\n          contact: |",
        {"open", "closed", "unknown"},
    ),
    ("devices", "devices:\n  x:\n    type: |", {"door", "eas_pedestal", "siren"}),
    ("devices", "devices:\n  x:\n    type: door\n    |", {"contact", "held_after", "near"}),
    ("devices", "devices:\n  x:\n    type: door\n    contact: |", {"annex.di0"}),
    ("devices", "io:\n  x:\n    type: modbus\n    profile: |", {"moxa_e1214"}),
    ("site", "|", {"site", "hours", "evacuation", "mqtt"}),
    ("site", "hours:\n  |", {"mon-sat", "holidays"}),
    ("site", "evacuation:\n  on: |", {"fire_main"}),
]
"""File, text with a | where the cursor stands, and words that must be offered there."""


class Server:
    """A language server on its standard input and output."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._number = 0
        self._remarks: dict[str, list[dict[str, Any]]] = {}
        able = {"workspace": {"configuration": True}, "textDocument": {"completion": {}}}
        self.ask("initialize", {"processId": os.getpid(), "rootUri": None, "capabilities": able})
        self._tell("initialized", {})
        self._tell("workspace/didChangeConfiguration", {"settings": SETTINGS})

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def remarks(self, address: str, text: str) -> list[str]:
        """Open a document; return what the server has to say of it."""
        item = {"uri": address, "languageId": "yaml", "version": 1, "text": text}
        self._remarks.pop(address, None)
        self._tell("textDocument/didOpen", {"textDocument": item})
        while address not in self._remarks:
            self._read()
        return [remark["message"] for remark in self._remarks[address]]

    def offered(self, address: str, line: int, column: int) -> set[str]:
        """Return the words that are offered at a place of an open document."""
        place = {"line": line, "character": column}
        found = self.ask(
            "textDocument/completion", {"textDocument": {"uri": address}, "position": place}
        )
        items = found["items"] if isinstance(found, dict) else found or []
        return {item["label"] for item in items}

    def ask(self, method: str, parameters: dict[str, Any]) -> Any:
        self._number += 1
        number = self._number
        self._send({"id": number, "method": method, "params": parameters})
        while True:
            message = self._read()
            if message.get("id") == number and "method" not in message:
                return message.get("result")

    def _tell(self, method: str, parameters: dict[str, Any]) -> None:
        self._send({"method": method, "params": parameters})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            if line.lower().startswith(b"content-length"):
                length = int(line.split(b":")[1])
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        method = message.get("method")
        if method == "workspace/configuration":
            wanted = [item.get("section") for item in message["params"]["items"]]
            self._send({"id": message["id"], "result": [SETTINGS.get(name) for name in wanted]})
        elif method == "textDocument/publishDiagnostics":
            self._remarks[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif method and "id" in message:
            self._send({"id": message["id"], "result": None})
        return message


@contextmanager
def started(path: str | None) -> Iterator[Server]:
    """Start the server; install it for the time being where there is none."""
    with tempfile.TemporaryDirectory() as folder:
        found = path or shutil.which("yaml-language-server")
        if found is None:
            subprocess.run(["npm", "install", "--prefix", folder, SERVER], check=True)
            found = f"{folder}/node_modules/.bin/yaml-language-server"
        server = Server([found, "--stdio"])
        try:
            yield server
        finally:
            server.close()


def write_schemas(folder: Path) -> None:
    os.environ["CREDENTIALS_DIRECTORY"] = str(ROOT / "examples" / "credentials")
    configuration = load(STORE)
    store = of_store(configuration)
    schemas = {
        "rules.any": schema_rules(),
        "devices.any": schema_devices(),
        "site.any": schema_site(),
        "rules.store": schema_rules(vocabulary(configuration)),
        "devices.store": schema_devices(store),
        "site.store": schema_site(store),
    }
    for name, schema in schemas.items():
        (folder / f"{name}.json").write_text(json.dumps(schema))


def documents() -> Iterator[tuple[str, str, str]]:
    """Return name, schema and text of all that must be free of remarks."""
    for path in sorted((ROOT / "examples").rglob("*.yaml")):
        kind = path.stem if path.stem in ("site", "devices") else "rules"
        for schema in ("any", "store") if STORE in path.parents else ("any",):
            yield f"{path.relative_to(ROOT)} ({schema})", f"{kind}.{schema}", path.read_text()
    page = (ROOT / "docs" / "rules.md").read_text()
    for number, text in enumerate(BLOCK.findall(page), start=1):
        yield f"docs/rules.md, example {number}", "rules.store", text


def main() -> int:
    options = argparse.ArgumentParser(description="drive a real editor's server")
    options.add_argument("--server", help="yaml-language-server, where it is not on PATH")
    chosen = options.parse_args()
    wrong: list[str] = []
    made = 0
    with tempfile.TemporaryDirectory() as folder, started(chosen.server) as server:
        write_schemas(Path(folder))

        def opened(schema: str, text: str) -> tuple[str, list[str]]:
            nonlocal made
            made += 1
            address = f"file://{folder}/{made}.yaml"
            first = f"# yaml-language-server: $schema={schema}.json\n"
            return address, server.remarks(address, first + text)

        for name, schema, text in documents():
            _, remarks = opened(schema, text)
            wrong += [f"{name}: {remark}" for remark in remarks]
        for kind, text in WRONG.items():
            _, remarks = opened(f"{kind}.any", text)
            wrong += [] if remarks else [f"nothing is said of a wrong {kind} file"]
        for kind, text, words in OFFERED:
            before, _, _ = text.partition("|")
            address, _ = opened(f"{kind}.store", text.replace("|", "", 1))
            line, column = before.count("\n") + 1, len(before.rpartition("\n")[2])
            missing = words - server.offered(address, line, column)
            wrong += [f"not offered at {before!r}: {word}" for word in sorted(missing)]
    for line_ in wrong:
        print(line_)
    print(f"{made} documents, {len(OFFERED)} places: {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

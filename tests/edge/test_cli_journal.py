"""`journal export`, `verify` and `key`: two verifiers, ours and docs/verify.py, say the same."""

import csv
import hashlib
import importlib.util
import io
import json
import secrets
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path
from types import MappingProxyType, ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buffer import chain
from buffer.device_key import load_or_make
from buffer.journal import Journal
from buffer.record import PRIORITIES, Draft, Kind
from edge.cli.main import main

SCRIPT = Path(__file__).parents[2] / "docs" / "verify.py"
ODD = [
    b"\x00\xff not JSON",
    b'{\n"lines": 2}',
    b'{"nan": NaN}',
    b"",
    b'{"a": "\xc2\x85\xe2\x80\xa8 \\" , \\"body\\": "}',
    b'{"signal":"x","device":"y","end":", \\"end\\": {"} ',
    "{}".encode("utf-16"),
    b"null",
    b"[" * 50_000 + b"]" * 50_000,
]


def draft(body: bytes, priority: int = 4, topic: str | None = None) -> Draft:
    own = secrets.token_hex(16)
    return Draft(id=own, kind=Kind.EVENT, priority=priority, topic=topic, body=body)


def said(number: int, device: str = "eas_front", signal: str = "eas.alarm") -> Draft:
    body = {
        "signal": signal,
        "device": device,
        "at": f"2026-07-22T20:{number // 60:02}:{number % 60:02}.000000Z",
        "tick": float(number),
        "boot": "b" * 32,
        "data": {"n": number},
    }
    priority = PRIORITIES[-1 - number % 5]
    return draft(json.dumps(body).encode(), priority, f"root/shop/event/{device}/{signal}")


def evict(journal: Journal, sequences: range) -> None:
    for sequence in sequences:
        (record,) = journal.since(sequence - 1, 1)
        journal._db.execute("DELETE FROM records WHERE sequence = ?", (sequence,))
        row = (sequence, record.priority, chain.body_hash(record.body))
        journal._db.execute("INSERT INTO evicted VALUES (?, ?, ?)", row)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with odd bodies, hashes, a signed run and signed heads, and its export."""
    folder = tmp_path_factory.mktemp("box")
    key, _news = load_or_make(folder)
    with Journal.open(folder / "journal.db", signer=key) as journal:
        journal.append([said(n) for n in range(20)])
        journal.append([draft(body) for body in ODD])
    with Journal.open(folder / "journal.db", signer=key) as journal:
        journal.append([said(n, "door_back", "door.opened") for n in range(20, 40)])
        evict(journal, range(4, 12))
        journal._folding.fold(5)
        (folder / "anchor.json").write_text(json.dumps(journal.anchor().as_json()))
        journal.append([said(40)])
    assert run("export", "--file", folder / "journal.db", "--output", folder / "e.jsonl")[0] == 0
    return folder


def run(*words: object) -> tuple[int, str, str]:
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["journal", *map(str, words)])
    out.flush()
    assert isinstance(out.buffer, io.BytesIO)
    return code, out.buffer.getvalue().decode(), err.getvalue()


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stranger(
    script: ModuleType,
    content: bytes,
    *,
    anchors: Mapping[int, str] = MappingProxyType({}),
    keys: frozenset[str] = frozenset(),
) -> bool:
    """Return whether docs/verify.py calls an export good."""
    try:
        script.verify(io.BytesIO(content), [("", *one) for one in anchors.items()], set(keys))
    except (SystemExit, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    return True


def alone(*words: object) -> subprocess.CompletedProcess[str]:
    """Run docs/verify.py as a stranger does."""
    command = [sys.executable, "-I", str(SCRIPT), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def ours(path: Path, content: bytes, *words: object) -> bool:
    path.write_bytes(content)
    code, _out, err = run("verify", path, *words)
    assert code in (0, 1)
    assert (code == 0) == (err == ""), err
    return code == 0


def public_key(box: Path) -> str:
    return run("key", "--file", box / "journal.db")[1].strip()


def test_an_export_is_lines_with_the_bodies_as_they_are(box: Path) -> None:
    lines = (box / "e.jsonl").read_bytes().splitlines(keepends=True)
    told = [json.loads(line) for line in lines]
    assert [t["sequence"] for t in told] == [1, 2, 3, 4, *range(9, 52)]
    assert [t["kind"] for t in told[3:8]] == ["folded", "evicted", "evicted", "evicted", "event"]
    assert told[1]["body"]["data"] == {"n": 0}
    assert {"sequence", "id", "kind", "priority", "link", "body", "topic", "previous"} <= set(
        told[1]
    )
    assert list(told[1])[-1] == "body"
    odd = {t["sequence"]: t for t in told if t["sequence"] in range(22, 31)}
    for sequence, body in enumerate(ODD, 22):
        line = odd[sequence]
        if line.get("encoding") == "hex":
            assert bytes.fromhex(line["body"]) == body
        else:
            raw = next(x for x in lines if x.startswith(b'{"sequence": %d,' % sequence))
            assert raw.endswith(b', "body": ' + body + b"}\n")
    assert [s for s, line in odd.items() if "encoding" not in line] == [26, 27]


def test_both_call_it_good(box: Path, script: ModuleType, tmp_path: Path) -> None:
    content, key = (box / "e.jsonl").read_bytes(), public_key(box)
    assert ours(tmp_path / "e", content, "--anchor", box / "anchor.json", "--key", key)
    anchor = json.loads((box / "anchor.json").read_text())
    noted = {int(anchor["sequence"]): anchor["link"]}
    assert stranger(script, content, anchors=noted, keys=frozenset({key}))
    found = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "e", "--key", key,
         "--anchor", f"{anchor['sequence']}:{anchor['link']}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("good up to record 51, signed up to record 51 by")


def test_both_say_that_the_signature_over_the_whole_was_taken_away(
    box: Path, tmp_path: Path
) -> None:
    content, key = (box / "e.jsonl").read_bytes(), public_key(box)
    rest = content[: content.rindex(b', "end": ')].replace(b'"kind": "event"', b'"kind": "trace"')
    end = {"lines": rest.count(b"\n") + 1, "sha256": hashlib.sha256(rest).hexdigest()}
    edited = tmp_path / "edited"
    edited.write_bytes(rest + b', "end": ' + json.dumps(end).encode() + b"}\n")
    told = "not signed as a whole"
    for path, expected in ((box / "e.jsonl", False), (edited, True)):
        assert (told in run("verify", path, "--key", key)[1]) is expected
        assert json.loads(run("verify", path, "--key", key, "--json")[1])["whole"] is not expected
        words: list[str | Path] = [sys.executable, SCRIPT, path, "--key", key]
        found = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (told in found.stdout) is expected


Edit = Callable[[list[bytes]], list[bytes]]


def without(number: int) -> Edit:
    return lambda lines: lines[:number] + lines[number + 1 :]


def swapped(one: int, other: int) -> Edit:
    def edit(lines: list[bytes]) -> list[bytes]:
        lines = list(lines)
        lines[one], lines[other] = lines[other], lines[one]
        return lines

    return edit


def replaced(number: int, old: bytes, new: bytes) -> Edit:
    def edit(lines: list[bytes]) -> list[bytes]:
        assert old in lines[number]
        return [*lines[:number], lines[number].replace(old, new, 1), *lines[number + 1 :]]

    return edit


ORDER_OF_THE_CURVE = 2**252 + 27742317777372353535851937790883648493


def resigned(edit: Callable[[bytes], bytes]) -> Edit:
    """Change the signature of the whole, and nothing else."""

    def change(lines: list[bytes]) -> list[bytes]:
        before, mark, rest = lines[-1].rpartition(b'"signature": "')
        signature = edit(bytes.fromhex(rest[:128].decode()))
        return [*lines[:-1], before + mark + signature.hex().encode() + rest[128:]]

    return change


def again(signature: bytes) -> bytes:
    """Return the same point and a scalar that is the same modulo the order: RFC 8032 refuses."""
    scalar = int.from_bytes(signature[32:], "little") + ORDER_OF_THE_CURVE
    return signature[:32] + scalar.to_bytes(32, "little")


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (resigned(lambda s: s[:-1] + bytes([s[-1] ^ 1])), "the signature of the export is wrong"),
        (resigned(lambda s: bytes(64)), "the signature of the export is wrong"),
        (resigned(again), "the signature of the export is wrong"),
        (replaced(10, b'"eas.alarm"', b'"eas.alurm"'), "record 15: changed"),
        (
            replaced(10, b'"personal_safety"', b'"telemetry"'),
            "record 15: changed: its priority was 1",
        ),
        (replaced(1, b'"telemetry"', b'"operations"'), "record 2: changed: its priority was 4"),
        (replaced(10, b'"id": "', b'"id": "x'), "outside the bodies"),
        (replaced(10, b'"kind": "event"', b'"kind": "trace"'), "outside the bodies"),
        (replaced(10, b'"link": "', b'"link": "00'), "record 15: changed"),
        (replaced(3, b'"last": 8', b'"last": 7'), "record 4: changed: the signature"),
        (
            replaced(4, b'"hash": "', b'"hash": "00'),
            "one of the records 9 to 12",
        ),
        (replaced(0, b"storewarden export 1", b"storewarden export 2"), "none of an export"),
        (replaced(0, b'"at": "20', b'"at": "19'), "record 1: changed: the signature of the head"),
        (replaced(0, b'"site": null', b'"site": "xx"'), "outside the bodies"),
        (replaced(46, b'"sha256": "', b'"sha256": "0'), "cut: the export has no end"),
        (replaced(46, b'"lines": 47', b'"lines": 46'), "outside the bodies"),
        (replaced(46, b'}, "end"', b'} , "end"'), "record 51: changed"),
        (without(0), "none of an export"),
        (without(3), "record 4: removed"),
        (without(5), "record 10: removed"),
        (without(20), "record 25: removed"),
        (without(46), "cut: the export has no end"),
        (lambda lines: [], "is empty"),
        (lambda lines: [*lines, lines[-1]], "record 51: changed"),
        (lambda lines: [*lines[:20], lines[19], *lines[20:]], "record 24: added"),
        (lambda lines: [*lines, b"{}\n"], "record 51: changed"),
        (lambda lines: [*lines, b"\n"], "record 51: changed"),
        (lambda lines: [*lines[:20], b"\n", *lines[20:]], "none of an export"),
        (swapped(20, 21), "record 25: reordered"),
        (swapped(20, 40), "record 25: reordered"),
        (swapped(0, 1), "none of an export"),
        (swapped(45, 46), "record 50: "),
        (lambda lines: [b"".join(lines)[:-1]], "cut: the export has no end"),
    ],
)
def test_both_call_an_edited_one_bad(
    box: Path, script: ModuleType, tmp_path: Path, edit: Edit, told: str
) -> None:
    content = b"".join(edit((box / "e.jsonl").read_bytes().splitlines(keepends=True)))
    (tmp_path / "e").write_bytes(content)
    code, _out, err = run("verify", tmp_path / "e")
    assert code == 1
    assert told in err
    assert not stranger(script, content)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_both_find_a_flipped_bit_anywhere(
    box: Path, script: ModuleType, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray((box / "e.jsonl").read_bytes())
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    assert not ours(box / "flipped", bytes(content))
    assert not stranger(script, bytes(content))


def remade(lines: list[bytes]) -> list[bytes]:
    """Make an export anew with another body and no signature, as somebody without a key can."""
    from hashlib import sha256

    told = [json.loads(line) for line in lines]
    head, made = bytes.fromhex(told[0]["proof"]["before"]), []
    for one in told:
        one.pop("end", None)
        one.pop("signed", None)
        if one["kind"] == "folded":
            head = bytes.fromhex(one["link"])
        else:
            body = json.dumps(one.get("body"), ensure_ascii=False).encode()
            if one["sequence"] == 45:
                one["body"]["data"]["n"] = 7
                body = json.dumps(one["body"]).encode()
            if "encoding" in one:
                body = bytes.fromhex(one["body"])
            hashed = bytes.fromhex(one["hash"]) if "hash" in one else chain.body_hash(body)
            places = ("life_safety", "personal_safety", "security", "operations", "telemetry")
            head = chain.link(head, one["sequence"], places.index(one["priority"]), hashed)
            if "link" in one:
                one["link"] = head.hex()
        made.append(json.dumps(one, ensure_ascii=False).encode() + b"\n")
    made[-1] = made[-1][:-2]
    digest = sha256(b"".join(made)).hexdigest()
    end = json.dumps({"lines": len(made), "sha256": digest}).encode()
    made[-1] += b', "end": ' + end + b"}\n"
    return made


def test_one_that_was_made_anew_is_shown_by_key_and_anchor_only(
    box: Path, script: ModuleType, tmp_path: Path
) -> None:
    lines = (box / "e.jsonl").read_bytes().splitlines(keepends=True)
    content, key = b"".join(remade(lines)), public_key(box)
    assert ours(tmp_path / "e", content)
    assert stranger(script, content)
    assert not ours(tmp_path / "e", content, "--key", key)
    assert not stranger(script, content, keys=frozenset({key}))
    anchor = json.loads((box / "anchor.json").read_text())
    assert not ours(tmp_path / "e", content, "--anchor", box / "anchor.json")
    assert not stranger(script, content, anchors={int(anchor["sequence"]): anchor["link"]})


def test_a_part_is_good_before_an_anchor_and_one_that_was_cut_is_not(
    box: Path, script: ModuleType, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    assert run("export", "--file", box / "journal.db", "--to", 40, "--output", part)[0] == 0
    anchor = json.loads((box / "anchor.json").read_text())
    noted = {int(anchor["sequence"]): anchor["link"]}
    assert ours(part, part.read_bytes())
    assert stranger(script, part.read_bytes())
    assert ours(part, part.read_bytes(), "--anchor", box / "anchor.json")
    assert stranger(script, part.read_bytes(), anchors=noted)
    told = f"ends before the anchor {anchor['sequence']}, which is not checked"
    assert told in run("verify", part, "--anchor", box / "anchor.json")[1]
    assert told in alone(part, "--anchor", box / "anchor.json").stdout
    found = json.loads(run("verify", part, "--json", "--anchor", box / "anchor.json")[1])
    assert (found["good"], found["anchors_not_checked"]) == (True, [int(anchor["sequence"])])
    other = tmp_path / "other.json"
    other.write_text(json.dumps(anchor | {"journal": "0" * 32}))
    assert run("verify", part, "--anchor", other)[0] == 1
    assert "another journal" in alone(part, "--anchor", other).stderr
    rest = part.read_bytes().rpartition(b', "end": ')[0]
    end = {"lines": rest.count(b"\n") + 1, "sha256": hashlib.sha256(rest).hexdigest()}
    for cut in (rest + b', "end": ' + json.dumps(end).encode() + b"}\n", rest + b"}\n"):
        part.write_bytes(cut)
        code, _out, err = run("verify", part, "--anchor", box / "anchor.json")
        assert (code, "record 41: cut" in err) == (1, True)
        assert not stranger(script, cut, anchors=noted)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--from", 20, "--to", 25], [20, 21, 22, 23, 24, 25]),
        (["--from", 6, "--to", 13], [12, 13]),
        (["--from", 10, "--to", 11], []),
        (["--from", "2026-07-22T20:00:20", "--to", "2026-07-22T20:00:25"], [31, 32, 33, 34, 35]),
        (["--device", "door_back"], list(range(31, 51))),
        (["--priority", "life_safety"], [*range(16, 22, 5), *range(35, 52, 5)]),
        (["--device", "door_back", "--priority", "security", "--priority", "telemetry"],
         [31, 33, 36, 38, 41, 43, 46, 48]),
    ],
)  # fmt: skip
def test_a_part_verifies_too(
    box: Path, script: ModuleType, tmp_path: Path, words: list[object], shown: list[int]
) -> None:
    part = tmp_path / "part"
    assert run("export", "--file", box / "journal.db", "--output", part, *words)[0] == 0
    lines = [json.loads(line) for line in part.read_bytes().splitlines()]
    assert [one["sequence"] for one in lines if "body" in one] == shown
    assert ours(part, part.read_bytes(), "--key", public_key(box))
    assert stranger(script, part.read_bytes(), keys=frozenset({public_key(box)}))


def test_an_export_to_a_pipe_is_the_same(box: Path, script: ModuleType) -> None:
    code, out, _err = run("export", "--file", box / "journal.db", "--from", 30)
    assert code == 0
    assert stranger(script, out.encode())


def test_a_reader_that_has_gone_is_no_error(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        journal.append([said(n) for n in range(500)])
    words = [sys.executable, "-m", "edge.cli.main", "journal", "export", "--file"]
    with subprocess.Popen(
        [*words, tmp_path / "journal.db"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as export:
        assert export.stdout is not None
        assert export.stderr is not None
        assert export.stdout.read(20) == b'{"sequence": 1, "id"'
        export.stdout.close()
        assert export.stderr.read() == b""
    assert export.returncode == 0


def test_without_the_key_it_says_how_far_it_is_signed(
    box: Path, script: ModuleType, tmp_path: Path
) -> None:
    copy = tmp_path / "journal.db"
    with closing(sqlite3.connect(box / "journal.db")) as db, closing(sqlite3.connect(copy)) as to:
        db.backup(to)
    with Journal.open(copy) as journal:
        journal.append([said(50), said(51)])
    assert run("export", "--file", copy, "--output", tmp_path / "e")[0] == 0
    key = public_key(box)
    code, out, _err = run("verify", tmp_path / "e", "--key", key)
    assert code == 0
    assert "signed up to record 51" in out
    assert "2 records since then: chained, not signed yet" in out
    assert stranger(script, (tmp_path / "e").read_bytes(), keys=frozenset({key}))
    assert run("key", "--file", copy)[1].strip() == key
    assert run("verify", "--file", copy, "--key", "0" * 64)[0] == 1


def test_the_journal_itself_is_checked(box: Path, tmp_path: Path) -> None:
    code, out, _err = run("verify", "--file", box / "journal.db", "--json", "--anchor",
                          box / "anchor.json")  # fmt: skip
    told = json.loads(out)
    assert (code, told["good"], told["break"], told["doubts"]) == (0, True, None, [])
    assert (told["records"], told["hashed"], told["folded"]) == (43, 3, 5)
    assert (told["signed"]["sequence"], told["anchors"]) == (51, 1)
    copy = Path(shutil.copy(box / "journal.db", tmp_path / "journal.db"))
    with closing(sqlite3.connect(copy)) as db:
        db.execute("UPDATE topics SET name = 'root/shop/event/eas_front/eas.ended'"
                   " WHERE name LIKE '%eas.alarm'")  # fmt: skip
        db.commit()
    code, out, _err = run("verify", copy, "--json")
    told = json.loads(out)
    assert (code, told["break"]["sequence"], told["break"]["what"]) == (1, 2, "changed")
    assert "is not that of its body" in told["break"]["reason"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["verify", "nowhere"], 1, "there is no journal nowhere"),
        (["verify", "--file", "/dev/null", "/dev/null"], 2, "name one file, not two"),
        (["verify", SCRIPT], 1, "verify.py is no export and no journal"),
        (["verify", "JOURNAL", "--key", "abc"], 2, "'abc' is no public key"),
        (["verify", "JOURNAL", "--anchor", SCRIPT], 2, "is no anchor"),
        (["verify", "JOURNAL", "--anchor", "nowhere"], 1, "nowhere: No such file"),
        (["verify", "JOURNAL", "--anchor", f"99:{'0' * 64}"], 1, "record 52: cut"),
        (["export", "--file", "JOURNAL", "--from", "1000"], 1, "no records in that part"),
        (["export", "--file", "JOURNAL", "--from", "soon"], 2, "'soon' is no time"),
        (["key", "--file", "/dev/null"], 1, "nothing was signed"),
        (["key", "--file", "missing.db"], 1, "there is no file missing.db"),
        (["export", "--file", "JOURNAL", "--csv", "-"], 2, "'-' is no file"),
        (["export", "--file", "JOURNAL", "--device", "nobody"], 0, "is of the device nobody"),
    ],
)
def test_a_persons_mistake_is_told(box: Path, words: list[object], code: int, told: str) -> None:
    given = [box / "journal.db" if word == "JOURNAL" else word for word in words]
    found = run(*given)
    assert found[0] == code
    assert told in found[2]


@pytest.mark.parametrize("part", ["stat", "tail", "export", "verify"])
def test_a_folder_and_an_empty_file_are_called_so(tmp_path: Path, part: str) -> None:
    (tmp_path / "empty").touch()
    for path, told in ((tmp_path, "is a directory"), (tmp_path / "empty", "is empty")):
        code, _out, err = run(part, "--file", path)
        assert (code, told in err) == (1, True)


def test_the_table_for_people_opens_in_a_spreadsheet_and_runs_nothing(tmp_path: Path) -> None:
    evil = {"signal": "=cmd()", "device": "+49", "at": "nonsense", "data": {"a": 'x,\n"y"', "b": 1}}
    with Journal.open(tmp_path / "journal.db") as journal:
        journal.append([said(1), draft(json.dumps(evil).encode()), draft(b"\xff")])
    table = tmp_path / "t.csv"
    code, out, _err = run("export", "--file", tmp_path / "journal.db", "--csv", table)
    assert (code, out) == (0, "")
    assert table.read_bytes().startswith(b"\xef\xbb\xbfsequence,time at the site,time UTC,")
    rows = list(csv.DictReader(io.StringIO(table.read_text("utf-8-sig"), newline="")))
    assert [row["sequence"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[1]["time UTC"] == "2026-07-22T20:00:01.000000Z"
    assert (rows[1]["signal"], rows[1]["what"]) == ("eas.alarm", "n: 1")
    assert (rows[2]["signal"], rows[2]["device"]) == ("'=cmd()", "'+49")
    assert rows[2]["what"] == 'a: x,\n"y"; b: 1'
    assert rows[3]["what"] == "ff"


def test_the_true_time_stands_beside_what_the_clock_said(tmp_path: Path) -> None:
    wrong = {"device": "site", "boot": "b", "at": "1970-01-01T00:00:10.000000Z", "tick": 10.0}
    corrected = {
        "signal": "clock.corrected", "device": "site", "boot": "b", "tick": 20.0,
        "at": "2026-07-22T20:00:20.000000Z", "data": {"since": 5.0},
    }  # fmt: skip
    with Journal.open(tmp_path / "journal.db") as journal:
        journal.append([
            draft(json.dumps({"signal": "a.b", **wrong}).encode()),
            draft(json.dumps(corrected).encode(), 3, "r/s/event/site/clock.corrected"),
        ])  # fmt: skip
    path, table = tmp_path / "e", tmp_path / "t.csv"
    code = run("export", "--file", tmp_path / "journal.db", "--output", path, "--csv", table)[0]
    assert code == 0
    line = json.loads(path.read_bytes().splitlines()[1])
    assert line["time"] == "2026-07-22T20:00:10.000000Z"
    assert line["body"]["at"] == "1970-01-01T00:00:10.000000Z"
    assert "2026-07-22T20:00:10.000000Z,corrected" in table.read_text("utf-8-sig")
    assert run("verify", path)[0] == 0

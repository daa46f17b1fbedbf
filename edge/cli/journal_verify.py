"""`journal verify`: check a journal or an export, and name the first record that was touched."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from itertools import chain as joined
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.cli import words
from edge.cli.exits import Failed, WrongUsage

if TYPE_CHECKING:
    from buffer.chain import Break
    from buffer.checkpoints import Anchor
    from buffer.proof import Item, Verdict
    from edge.cli.journal_lines import Export, Line

BEGINNING = b'{"sequence": '
"""Of the first line of every export."""
_HEX_64 = re.compile("[0-9a-f]{64}")
_PLACED = re.compile("([0-9]{1,18}):([0-9a-f]{64})")


def options(made: argparse.ArgumentParser) -> None:
    """Add the options of `journal verify`."""
    made.add_argument("path", nargs="?", type=Path, metavar="FILE", help="a journal or an export")
    made.add_argument(
        "--anchor",
        action="append",
        default=[],
        metavar="FILE|SEQUENCE:LINK",
        help="a head that was noted elsewhere: an anchor message, lines of them, or a number and"
        " its link; may be repeated",
    )
    made.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="HEX",
        help="the public key of the box, as noted elsewhere; what it has not signed is no proof",
    )


def verify(chosen: argparse.Namespace, path: Path) -> int:
    """Check `path` and say what was found."""
    from buffer.storage import JournalError
    from edge.history import is_export

    keys = _keys(chosen.key)
    anchors = [anchor for text in chosen.anchor for anchor in _anchors(text)]
    try:
        if is_export(path):
            _looks_like_one(path)
            verdict = check_export(path, keys, anchors)
            trusted = "given" if keys is not None else "the file's own word"
        else:
            trusted = "given"
            if keys is None:
                keys, trusted = _beside(path)
            verdict = _check_journal(path, keys, anchors)
    except JournalError as error:
        raise Failed(str(error)) from None
    if chosen.key and verdict.signed is None and verdict.broken is None:
        verdict.broken = _not_signed(verdict.first)
    if chosen.json:
        words.print_json(as_json(verdict))
        return words.answer(good=verdict.good)
    if verdict.broken is not None:
        raise Failed(f"record {verdict.broken.sequence}: {verdict.broken.reason}")
    _say(verdict, trusted)
    for doubt in verdict.doubts:
        words.show(f"storewarden: not verifiable: {doubt}")
    return words.answer(good=verdict.good)


def _looks_like_one(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(BEGINNING)) != BEGINNING:
            raise Failed(f"{path} is no export and no journal")


def _not_signed(first: int) -> Break:
    from buffer.chain import Break

    reason = "the key that was given has signed nothing here"
    return Break(sequence=first, what="signature", reason=reason)


def _keys(given: Sequence[str]) -> Collection[str] | None:
    keys = frozenset(text.strip().lower() for text in given)
    if wrong := [key for key in keys if not _HEX_64.fullmatch(key)]:
        raise WrongUsage(f"{wrong[0]!r} is no public key: 64 hexadecimal digits")
    return keys or None


def _beside(path: Path) -> tuple[Collection[str] | None, str]:
    """Return the key of the box that the file lies on, if it can be read."""
    from buffer.device_key import public_of

    public = public_of(path.parent)
    if public is None:
        return None, "the file's own word"
    return frozenset({public}), "the box's own"


def _anchors(text: str) -> Iterator[Anchor]:
    """Yield the anchors that `text` is, or that the file of this name holds."""
    from buffer.checkpoints import Anchor

    if (placed := _PLACED.fullmatch(text.strip().lower())) is not None:
        link = bytes.fromhex(placed[2])
        yield Anchor(journal="", sequence=int(placed[1]), link=link, at="")
        return
    content = Path(text).read_text(encoding="utf-8", errors="replace")
    try:
        found = [json.loads(content)]
    except (ValueError, RecursionError):
        lines = [line for line in content.splitlines() if line.strip()]
        found = [_from_line(line, text) for line in lines]
    if not found:
        raise WrongUsage(f"{text}: no anchor in it")
    for told in found:
        yield _anchor(told, text)


def _from_line(line: str, name: str) -> Any:
    """Return the anchor of a line: the message, or a line of the log that ends with it."""
    try:
        return json.loads(line[line.index("{") :])
    except (ValueError, RecursionError):
        raise WrongUsage(f"{name}: {line[:60]!r} is no anchor") from None


def _anchor(told: Any, name: str) -> Anchor:
    from buffer.checkpoints import Anchor

    try:
        return Anchor(
            journal=str(told["journal"]),
            sequence=int(told["sequence"]),
            link=bytes.fromhex(told["link"]),
            at=str(told["at"]),
            key=str(told["key"]) if "key" in told else None,
            signature=bytes.fromhex(told["signature"]) if "signature" in told else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise WrongUsage(f"{name} is no anchor: journal, sequence, link and at") from None


def _check_journal(path: Path, keys: Collection[str] | None, anchors: Sequence[Anchor]) -> Verdict:
    from buffer import storage
    from buffer.proof_rows import examine

    with closing(storage.connect(path, read_only=True)) as db:
        return examine(db, keys=keys, anchors=anchors, look=_look)


def _look(sequence: int, topic: str | None, body: bytes) -> Break | None:
    """Return what is wrong where a record's topic is not that of what its body says."""
    from buffer.chain import Break
    from edge.cli.journal_export import parsed

    if topic is None or "/event/" not in topic or body.startswith(_named(topic)):
        return None
    told = parsed(body)
    if not isinstance(told, dict) or not {"device", "signal"} <= told.keys():
        return None
    if topic.endswith(f"/event/{told['device']}/{told['signal']}"):
        return None
    reason = f"changed: its topic, {topic}, is not that of its body"
    return Break(sequence=sequence, what="changed", reason=reason)


@lru_cache(maxsize=1000)
def _named(topic: str) -> bytes:
    """Return how a body begins that has this topic, as the daemon writes it."""
    device, _, signal = topic.rpartition("/event/")[2].partition("/")
    return f'{{"signal":"{signal}","device":"{device}",'.encode()


def check_export(path: Path, keys: Collection[str] | None, anchors: Sequence[Anchor]) -> Verdict:
    """Check an export; `keys` are the public keys that are trusted, None: all that signed."""
    from buffer.chain import Break
    from buffer.proof import Broken, Check, Verdict
    from edge.cli.journal_lines import Export

    export = Export(path=path)
    lines = export.read()
    try:
        first = next(lines, None)
    except Broken as found:
        return Verdict(journal="", first=0, last=0, broken=found.args[0])
    if first is None:
        cut = Break(sequence=0, what="cut", reason="cut: the export is empty")
        return Verdict(journal="", first=0, last=0, broken=cut)
    chains = {-1: export.journal}
    signers = [export.key] if export.key is not None else []
    check = Check(chains, first.item[0], start=export.before, keys=keys, signers=signers)
    try:
        _take_all(check, chains, joined((first,), lines), list(anchors))
        check.finish(part=True)
        _close(check.verdict, export, keys)
        _whole_or_cut(check.verdict)
    except Broken as found:
        check.verdict.broken = found.args[0]
    check.verdict.journal = export.journal
    return check.verdict


def _take_all(
    check: Any, chains: dict[int, str], lines: Iterator[Line], waiting: list[Anchor]
) -> None:
    from buffer.chain import Break
    from buffer.proof import Broken, DoesNotFit
    from buffer.suspect import diagnose

    for line in lines:
        if line.begins is not None:
            chains[line.item[0]] = line.begins
        for anchor in [a for a in waiting if not a.journal or a.journal in chains.values()]:
            check.expect(anchor, given=True)
            waiting.remove(anchor)
        if line.signed is not None:
            check.expect(line.signed)
        try:
            check.take(line.item)
        except DoesNotFit:
            later = joined((line.item,), _readable(lines))
            raise Broken(diagnose(check.links, check.expected, check.sure, later)) from None
        if line.body is not None and (wrong := _look(line.item[0], line.topic, line.body)):
            raise Broken(wrong)
    if waiting:
        reason = f"cut: the anchor is of journal {waiting[0].journal}, which is not this one"
        raise Broken(Break(sequence=check.verdict.first, what="cut", reason=reason))


def _readable(lines: Iterator[Line]) -> Iterator[Item]:
    from buffer.proof import Broken

    try:
        for line in lines:
            yield line.item
    except Broken:
        return


def _close(verdict: Verdict, export: Export, keys: Collection[str] | None) -> None:
    """Hold the bytes of the export against its end."""
    from buffer import device_key, statements
    from buffer.chain import Break
    from buffer.checkpoints import Anchor
    from buffer.proof import Broken

    end = export.end
    if end is None:
        reason = "cut: the export has no end"
        raise Broken(Break(sequence=verdict.last + 1, what="cut", reason=reason))
    if end["sha256"] != export.digest or end["lines"] != export.lines:
        reason = "changed: the export, outside the bodies of its records"
        raise Broken(Break(sequence=verdict.first, what="changed", reason=reason))
    key, signature = end["key"], end["signature"]
    verdict.whole = False
    if key is None:
        return
    if key != export.key:
        reason = "changed: the key that the end names is not that of the beginning"
        raise Broken(Break(sequence=verdict.first, what="signature", reason=reason))
    journal = export.first_journal
    if not device_key.verify(key, statements.export(journal, export.digest), signature):
        reason = "changed: the signature of the export is wrong"
        raise Broken(Break(sequence=verdict.first, what="signature", reason=reason))
    if keys is not None and key not in keys:
        verdict.others.add(key)
        return
    verdict.whole = True
    at, link = export.exported, verdict.link or b""
    verdict.signed = Anchor(journal=journal, sequence=verdict.last, link=link, at=at, key=key)


def _whole_or_cut(verdict: Verdict) -> None:
    """Only who signed an export as a whole has said where it ends."""
    from buffer.chain import Break
    from buffer.proof import Broken, records

    if verdict.beyond and not verdict.whole:
        first, until = verdict.last + 1, verdict.beyond[0]
        reason = f"cut: the anchor knows of {records(first, until)}"
        raise Broken(Break(sequence=first, until=until, what="cut", reason=reason))


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Return what was found as JSON values."""
    broken, signed = verdict.broken, verdict.signed
    return {
        "good": verdict.good,
        "break": None
        if broken is None
        else {
            "sequence": broken.sequence,
            "until": broken.until or broken.sequence,
            "what": broken.what,
            "reason": broken.reason,
        },
        "doubts": verdict.doubts,
        "journal": verdict.journal,
        "first": verdict.first,
        "last": verdict.last,
        "link": None if verdict.link is None else verdict.link.hex(),
        "records": verdict.kept,
        "hashed": verdict.hashed,
        "folded": verdict.folded,
        "heads": verdict.heads,
        "signed": None
        if signed is None
        else {"sequence": signed.sequence, "at": signed.at, "key": signed.key},
        "whole": verdict.whole,
        "other_keys": sorted(verdict.others),
        "anchors": verdict.anchors,
        "anchors_not_checked": verdict.beyond,
    }


def _say(verdict: Verdict, trusted: str) -> None:
    link = "unknown" if verdict.link is None else verdict.link.hex()
    print(f"{words.counted(verdict.kept, 'record')} verified, last {verdict.last}, link {link}")
    if verdict.hashed or verdict.folded:
        print(f"of {verdict.hashed} more the hash is kept, {verdict.folded} more are folded")
    if verdict.signed is None:
        print("nothing is signed: this shows accidents, not forgery")
    else:
        signed = verdict.signed
        print(f"signed up to record {signed.sequence} at {signed.at}")
        print(f"by the key {signed.key} ({trusted})")
        if (since := verdict.last - signed.sequence) > 0:
            print(f"{words.counted(since, 'record')} since then: chained, not signed yet")
    if verdict.whole is False:
        print("not signed as a whole: of its records, number, priority and body are shown only")
    for key in sorted(verdict.others):
        print(f"another key has signed too: {key}")
    if verdict.anchors:
        fit = "fits" if verdict.anchors == 1 else "fit"
        print(f"{words.counted(verdict.anchors, 'given anchor')} {fit}")
    for sequence in verdict.beyond:
        print(f"ends before the anchor {sequence}, which is not checked")

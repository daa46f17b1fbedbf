"""Check an export: verify.py EXPORT [--anchor FILE|SEQUENCE:LINK]... [--key HEX]..."""

import json
import re
import sys
from hashlib import sha256, sha512

# fmt: off
P, Q = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # Ed25519: RFC 8032, 5.1
D = -121665 * pow(121666, P - 2, P) % P
PRIORITIES = ("life_safety", "personal_safety", "security", "operations", "telemetry")
SEAL = rb'(?:, "key": "([0-9a-f]{64})", "signature": "([0-9a-f]{128})")?'
END = re.compile(rb'(.*), "end": \{"lines": (\d+), "sha256": "(\w+)"' + SEAL + rb"\}\}\n", re.S)
ANCHOR = r'(?:"journal":\s*"(\w+)",\s*"sequence":\s*"?|^)(\d+)(?:"?,\s*"link":\s*"|:)(\w{64})\b'

def need(good: object, otherwise: str) -> None:
    _ = good or sys.exit(f"NOT GOOD: {otherwise}")

def add(a, b):  # type: ignore[no-untyped-def]
    (x, y, z, t), (u, v, w, s) = a, b
    m, n, c, d = (y - x) * (v - u) % P, (y + x) * (v + u) % P, 2 * t * s * D % P, 2 * z * w % P
    e, f, g, h = n - m, d - c, d + c, n + m
    return e * f % P, g * h % P, f * g % P, e * h % P

def decoded(text, sign=1):  # type: ignore[no-untyped-def]
    y = (number := int.from_bytes(bytes.fromhex(text), "little")) & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    need(y < P and (x * x - square) % P == 0 and len(text) == 64, "no key or no signature")
    return (x := sign * (x if x & 1 == number >> 255 else P - x)), y, 1, x * y % P

def signed(key: str, signature: str, *lines: object) -> bool:
    message = bytes.fromhex(signature[:64] + key) + "".join(f"{line}\n" for line in lines).encode()
    h = int.from_bytes(sha512(message).digest(), "little") % Q
    s = int.from_bytes(bytes.fromhex(signature[64:]), "little")
    total, one, other = (0, 1, 1, 0), decoded("58" + "66" * 31), decoded(key, -1)
    points = total, one, other, add(one, other)
    for bit in reversed(range(256)):
        total = add(add(total, total), points[(s >> bit & 1) + 2 * (h >> bit & 1)])
    x, y, _, _ = decoded(signature[:64])
    return s < Q and (total[0] - x * total[2]) % P == 0 and (total[1] - y * total[2]) % P == 0

def verify(file, anchors, given):  # type: ignore[no-untyped-def]
    digest, lines, line, place, proven, keys = sha256(), 0, file.readline(), 0, 0, given
    noted, links = {number for _, number, _ in anchors}, {"": ""}
    while line:
        lines, after = lines + 1, file.readline()
        end = END.fullmatch(line) if not after else None
        told, _ = json.loads(line), digest.update(end[1] if end else line)
        number, kind, last = told["sequence"], told["kind"], told.get("last", told["sequence"])
        if lines == 1:
            proof, journal, place = told["proof"], told["proof"]["journal"], number
            need(proof["format"] == "storewarden export 1", "another format")
            keys, head = keys or {proof["key"]}, bytes.fromhex(proof["before"] or "")
        if "journal" in told:
            journal, head = told["journal"], sha256(bytes.fromhex(told["journal"])).digest()
        grown = kind == "folded" and number < place <= last
        need((number == place or grown) and kind != "lost" and head, f"record {place}: missing")
        if kind == "folded":
            run = (journal, number, last, told["before"] if grown else head.hex(), told["link"])
            good = any(signed(k, told["signature"], "storewarden folded 1", *run) for k in keys)
            need(good, f"record {number}: no key has signed that those to {last} were folded here")
            head = bytes.fromhex(told["link"])
        else:
            body = (end[1] if end else line[:-2]).partition(b', "body": ')[2]
            body = bytes.fromhex(told["body"]) if "encoding" in told else body
            hashed = sha256(body).digest() if "link" in told else bytes.fromhex(told["hash"])
            head += number.to_bytes(8, "big") + bytes([PRIORITIES.index(told["priority"])]) + hashed
            head = sha256(head).digest()
            need(told.get("link", head.hex()) == head.hex(), f"record {number}: changed")
        if one := told.get("signed"):
            what = ("storewarden head 1", journal, last, head.hex(), one["at"])
            need(signed(one["key"], one["signature"], *what), f"record {last}: not as signed")
            proven = last if one["key"] in keys else proven
        line, place, links[journal], links[last in noted and last] = after, last + 1, 0, head.hex()
    need(lines and end, f"record {place}: the end is missing")
    count, sealed, key, signature = (part and part.decode() for part in end.groups()[1:])
    need((int(count), sealed) == (lines, digest.hexdigest()), "changed, outside of the bodies")
    good = key and signed(key, signature, "storewarden export 1", proof["journal"], sealed)
    need(good or not key, "the signature of the whole is wrong")
    proven, parts = (last, "") if good and key in keys else (proven, "; not signed as a whole")
    early = "".join(f"; ends before the anchor {n}, which is not checked" for n in noted - {*links})
    for journal, n, link in anchors:
        good = journal in links and links.get(n, not parts and n > last and link) == link
        need(good, f"record {n}: missing, not as anchored, or the anchor is of another journal")
    need(proven or not given, "the key that was given has signed nothing here")
    return f"good up to record {last}, signed up to record {proven} by {keys}{parts}{early}"

if __name__ == "__main__":
    try:
        options = list(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
        texts = [v if re.search(ANCHOR, v) else open(v).read() for k, v in options if k == "--anchor"]  # noqa
        noted = [(j, int(n), a.lower()) for t in texts for j, n, a in re.findall(ANCHOR, t) or [""]]
        trusted = {re.findall("^--key([0-9a-f]{64})$", k + v.lower())[0] for k, v in options if k != "--anchor"}  # noqa: E501
        _ = (export := open(sys.argv[1], "rb")).peek().index(b'{"sequence": ', 0, 13)  # noqa
    except (OSError, LookupError, ValueError, TypeError) as wrong:
        sys.exit(print(f"usage: {__doc__}\nthis is no export, no anchor or no key: {wrong}", file=sys.stderr) or 2)  # noqa
    sys.excepthook = lambda kind, wrong, _: print(f"NOT GOOD: {kind.__name__}: {wrong}")  # noqa: T201
    print(verify(export, noted, trusted))  # noqa: T201

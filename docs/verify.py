"""Check an export, by evidence.md: verify.py EXPORT [--anchor SEQUENCE:LINK]... [--key HEX]..."""

import json
import re
import sys
from hashlib import sha256, sha512

P, Q = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # Ed25519: RFC 8032, 5.1
D = -121665 * pow(121666, P - 2, P) % P
PRIORITIES = ("life_safety", "personal_safety", "security", "operations", "telemetry")
SEAL = rb'(?:, "key": "([0-9a-f]{64})", "signature": "([0-9a-f]{128})")?'
END = re.compile(rb'(.*), "end": \{"lines": (\d+), "sha256": "(\w+)"' + SEAL + rb"\}\}\n", re.S)


def need(good: object, otherwise: str) -> None:
    _ = good or sys.exit(f"NOT GOOD: {otherwise}")


def add(a, b):  # type: ignore[no-untyped-def]
    (x, y, z, t), (u, v, w, s) = a, b
    m, n, c, d = (y - x) * (v - u) % P, (y + x) * (v + u) % P, 2 * t * s * D % P, 2 * z * w % P
    e, f, g, h = n - m, d - c, d + c, n + m
    return e * f % P, g * h % P, f * g % P, e * h % P


def decoded(text, sign=1):  # type: ignore[no-untyped-def]
    number = int.from_bytes(bytes.fromhex(text), "little")
    y = number & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    need(y < P and (x * x - square) % P == 0 and len(text) == 64, "no key or no signature")
    return (x := sign * (x if x & 1 == number >> 255 else P - x)), y, 1, x * y % P


def signed(key: str, signature: str, *lines: object) -> bool:
    message = bytes.fromhex(signature[:64] + key) + "".join(f"{line}\n" for line in lines).encode()
    h = int.from_bytes(sha512(message).digest(), "little") % Q
    s = int.from_bytes(bytes.fromhex(signature[64:]), "little")
    total, factors = (0, 1, 1, 0), ((s, decoded("58" + "66" * 31)), (h, decoded(key, -1)))
    for bit in reversed(range(256)):
        total = add(total, total)
        for number, point in factors:
            total = add(total, point) if number >> bit & 1 else total
    x, y, _, _ = decoded(signature[:64])
    return s < Q and (total[0] - x * total[2]) % P == 0 and (total[1] - y * total[2]) % P == 0


def verify(file, anchors, given):  # type: ignore[no-untyped-def]
    digest, lines, line, place, proven, keys = sha256(), 0, file.readline(), 0, 0, given
    while line:
        lines, following = lines + 1, file.readline()
        end = END.fullmatch(line) if not following else None
        digest.update(end[1] if end else line)
        told = json.loads(line)
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
        need(anchors.pop(last, head.hex()) == head.hex(), f"record {last}: not as anchored")
        line, place = following, last + 1
    need(lines and end, f"record {place}: the end is missing")
    count, sealed, key, signature = (part and part.decode() for part in end.groups()[1:])
    need((int(count), sealed) == (lines, digest.hexdigest()), "changed, outside of the bodies")
    good = key and signed(key, signature, "storewarden export 1", proof["journal"], sealed)
    need(good or not key, "the signature of the whole is wrong")
    proven, parts = (last, "") if good and key in keys else (proven, "; not signed as a whole")
    need(not anchors, f"record {place}: missing at the end, or its link is not kept")
    need(proven or not given, "the key that was given has signed nothing here")
    return f"good up to record {last}, signed up to record {proven} by {keys}{parts}"


if __name__ == "__main__":
    sys.excepthook = lambda kind, wrong, _: print(f"NOT GOOD: {kind.__name__}: {wrong}")  # noqa: T201
    options = list(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    noted = [value.lower().split(":") for name, value in options if name == "--anchor"]
    trusted = {value for name, value in options if name == "--key"}
    with open(sys.argv[1], "rb") as export:  # noqa: PTH123
        print(verify(export, {int(n): link for n, link in noted}, trusted))  # noqa: T201

"""An audit that could not ask is not a good one."""

from release.audit import Audit, read
from release.lock import Pin

PINS = tuple(
    Pin(name=name, version="1.0", marker="", hashes=("0" * 64,)) for name in ("a", "b", "c")
)


def test_vulnerabilities_are_told_with_the_version_that_mends_them() -> None:
    bug = {"id": "CVE-2026-1", "fix_versions": ["1.1", "2.0"], "aliases": [], "description": "x"}
    answer = {
        "dependencies": [
            {"name": "a", "version": "1.0", "vulns": []},
            {"name": "b", "version": "1.0", "vulns": [bug, {"id": "CVE-2", "fix_versions": []}]},
            {"name": "c", "version": "1.0", "vulns": []},
        ],
        "fixes": [],
    }

    assert read(answer, PINS) == Audit(
        found=("b 1.0: CVE-2026-1, mended in 1.1, 2.0", "b 1.0: CVE-2, mended in -"),
        unasked=(),
        good=2,
    )


def test_what_the_service_does_not_know_or_leaves_out_counts_as_not_asked() -> None:
    answer = {
        "dependencies": [
            {"name": "a", "version": "1.0", "vulns": []},
            {"name": "b", "skip_reason": "Dependency not found on PyPI and could not be audited"},
        ]
    }

    assert read(answer, PINS) == Audit(found=(), unasked=("b", "c"), good=1)

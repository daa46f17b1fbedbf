"""Certificates as a test wants them, made with openssl: an authority and what it signs."""

import subprocess
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """`authority = Authority(folder); authority.sign("server")`: PEM files beside each other."""

    def __init__(self, folder: Path, name: str = "ca", days: int = 365) -> None:
        self._folder = folder
        self._name = name
        self._openssl(
            *("req", "-x509", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.pem"),
            *("-subj", f"/CN={name}", "-days", str(days)),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
        self.pem = folder / f"{name}.pem"

    def sign(self, name: str, days: int = 365, host: str = "localhost") -> tuple[Path, Path]:
        """Make certificate and key `name`, or make them anew; returns their files."""
        self._openssl("req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr",
                      "-subj", f"/CN={name}")  # fmt: skip
        (self._folder / f"{name}.ext").write_text(f"subjectAltName=DNS:{host}")
        self._openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", f"{self._name}.pem"),
            *("-CAkey", f"{self._name}.key", "-CAcreateserial", "-out", f"{name}.pem"),
            *("-extfile", f"{name}.ext", "-days", str(days)),
        )
        return self._folder / f"{name}.pem", self._folder / f"{name}.key"

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True, capture_output=True)


def mutual_tls(folder: Path, authority: Authority) -> list[str]:
    """Return the lines of mosquitto.conf that ask for a certificate of `authority`."""
    certificate, key = authority.sign("server")
    return [
        f"cafile {authority.pem}",
        f"certfile {certificate}",
        f"keyfile {key}",
        "require_certificate true",
        "use_identity_as_username true",
    ]

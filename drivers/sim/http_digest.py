"""The server's half of a digest login (RFC 2617, MD5), as cameras ask for it over HTTP and RTSP."""

from __future__ import annotations

import hashlib
import re
import secrets

REALM = "camera"


class DigestLogin:
    """Asks for one user name and password."""

    def __init__(self, username: str, password: str) -> None:
        self._username = username
        self._password = password
        self._nonce = secrets.token_hex(16)

    @property
    def challenge(self) -> str:
        """The value of a WWW-Authenticate header."""
        return f'Digest realm="{REALM}", qop="auth", nonce="{self._nonce}", algorithm=MD5'

    def knows(self, method: str, authorization: str) -> bool:
        """Return whether the Authorization header of a request with `method` is right."""
        pairs = re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', authorization)
        said = {key: quoted or bare for key, quoted, bare in pairs}
        if not authorization.startswith("Digest ") or said.get("nonce") != self._nonce:
            return False
        who = _md5(f"{self._username}:{REALM}:{self._password}")
        what = _md5(f"{method}:{said.get('uri')}")
        counted = self._nonce
        if "qop" in said:
            counted += f":{said.get('nc')}:{said.get('cnonce')}:{said['qop']}"
        return said.get("response") == _md5(f"{who}:{counted}:{what}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

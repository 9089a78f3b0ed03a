"""Who may use the endpoints: requests with the token, and none that another site has caused."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os

from memlens.errors import OptionError
from memlens.integrations.web.requests import Request, RequestError

__all__ = ("MIN_TOKEN_LENGTH", "TOKEN_VARIABLE", "Access")

TOKEN_VARIABLE = "MEMLENS_TOKEN"
MIN_TOKEN_LENGTH = 16
_MIN_DIFFERENT = 8  # characters: refuses "aaaaaaaaaaaaaaaa" and "changemechangeme"
_MAKE_ONE = 'python -c "import secrets; print(secrets.token_urlsafe(32))"'
# Browsers send it: where the page is from that caused a request.
_OWN_SITES = ("same-origin", "none")


class Access:
    """Checks the token of requests. Keeps its hash only, so that no snapshot of ours shows it.

    ``token``: None takes it from the environment variable ``MEMLENS_TOKEN``. Raises ``OptionError``
    where there is none, or one that could be guessed.
    """

    def __init__(self, token: str | None) -> None:
        where = "token" if token is not None else TOKEN_VARIABLE
        given = os.environ.get(TOKEN_VARIABLE, "") if token is None else token
        self._digest = _digest(_checked(given, where))

    def check(self, request: Request) -> None:
        """Raise `RequestError`: 401 without the token, 403 where another site caused the request.

        A browser adds the password that it knows to requests that any site causes. They would show
        nothing to that site, but make this process work.
        """
        given = _given(request.headers.get("authorization", ""))
        if given is None or not hmac.compare_digest(_digest(given), self._digest):
            raise RequestError(
                401,
                "A token is needed: Authorization: Bearer TOKEN, or the token as the password of"
                " any user name.",
                [("WWW-Authenticate", 'Basic realm="memlens", charset="UTF-8"')],
            )
        if request.headers.get("sec-fetch-site", "none").lower() not in _OWN_SITES:
            raise RequestError(
                403,
                "Another site has caused this request: type the address into the address bar.",
            )


def _checked(token: str, where: str) -> str:
    """Return a token that nobody guesses. The messages do not show it."""
    if not isinstance(token, str):
        raise OptionError(f"{where} must be a string, not a {type(token).__name__}")
    if not token:
        raise OptionError(
            "the memory endpoints need a token, because they show the names and the structure of"
            f" this program to everyone who has it: pass token=... or set {TOKEN_VARIABLE};"
            f" {_MAKE_ONE} makes one"
        )
    if not all("!" <= character <= "~" for character in token):
        raise OptionError(f"{where} must consist of printable ASCII characters without spaces")
    if len(token) < MIN_TOKEN_LENGTH or len(set(token)) < _MIN_DIFFERENT:
        raise OptionError(
            f"{where} can be guessed: use {MIN_TOKEN_LENGTH} characters or more, {_MIN_DIFFERENT} of"
            f" them different; {_MAKE_ONE} makes one"
        )
    return token


def _given(header: str) -> str | None:
    """Return the token of an Authorization header: of a bearer, or the password of a user."""
    scheme, _, rest = header.strip().partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer":
        return rest
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(rest, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, ValueError):  # also UnicodeDecodeError
        return None


def _digest(token: str) -> bytes:
    # Of one length for all tokens, so that the comparison does not tell the length of ours.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()

"""What goes wrong with downloads, in words."""

from __future__ import annotations

from zslbench.errors import ZslbenchError

_NO_HOST = "no such host, or no network"
_UNTRUSTED = "the secure connection failed (certificate or proxy)"
FINAL = {_NO_HOST, _UNTRUSTED, "the proxy failed"}
"""Network errors that another try at once would not mend."""


class DownloadError(ZslbenchError):
    """A file that could not be had from the web."""


def plain(error: Exception) -> str:
    """A network error in a few words."""
    text = f"{type(error).__name__} {error} {error.__context__ or ''}"
    for sign, words in (
        ("SSL", _UNTRUSTED),
        ("ProxyError", "the proxy failed"),
        ("NameResolution", _NO_HOST),
        ("Failed to resolve", _NO_HOST),
        ("refused", "the connection was refused"),
        ("imed out", "the server fell silent"),
        ("ProtocolError", "the connection was cut"),
        ("RemoteDisconnected", "the connection was cut"),
        ("TooManyRedirects", "redirected in circles"),
        ("Invalid", "is no http or https address"),
        ("MissingSchema", "is no http or https address"),
    ):
        if sign in text:
            return words
    return f"the transfer failed ({type(error).__name__})"

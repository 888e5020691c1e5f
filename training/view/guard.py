"""Who may talk to the page: requests by its own address alone, and pages of its own origin.

Any web page may have its visitor's browser send requests to 127.0.0.1, under a name that it
points there after it was loaded (DNS rebinding), or open a WebSocket, which no same-origin rule
holds back. Both carry the foreign name in their headers.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HEADERS = {
    'Content-Security-Policy': "default-src 'self'; img-src 'self' blob: data:; "
    "frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
}
"""Of every answer: the page needs nothing from elsewhere, and is shown in no other."""


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach a server bound to a host."""
    try:
        return host == 'localhost' or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_strangers(names: Collection[str]) -> Middleware:
    """A middleware that answers 403 to requests by a foreign name or from a foreign page.

    Args:
        names: host names that the page may be called by, beside localhost, the name of this
            machine and IP addresses, which nobody can point elsewhere.
    """
    machine = socket.gethostname().lower()
    known = {'localhost', machine, f'{machine}.local', *(name.lower() for name in names)}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = _host(f'//{request.host}')
        if host not in known and not _is_address(host):
            raise web.HTTPForbidden(
                text=f'this page is not known as {host}; name it with --allow-host {host}\n'
            )
        origin = request.headers.get('Origin')
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text=f'a page of {origin} may not use this one\n')
        return await handler(request)

    return check


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: tell the browser what this page may do."""
    response.headers.update(HEADERS)


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or '').lower()
    except ValueError:
        return ''


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

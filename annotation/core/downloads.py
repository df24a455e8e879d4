"""Addresses in, bytes out, without being led anywhere that the public cannot go."""

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

AGENT = "DAGER intake"
PIECE = 64 * 1024
# Not private to every Python: protocol assignments (one cloud's metadata is there), and relays that were given up.
NOT_PUBLIC = [ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("192.88.99.0/24")]


@dataclass(frozen=True)
class DownloadLimits:
    megabytes: int = 30
    seconds: float = 30.0  # for one file, redirects and all
    pause: float = 0.5  # seconds between two requests to one host
    redirects: int = 5
    ports: frozenset[int] = frozenset({80, 443})


class DownloadRefused(Exception):
    """An address that is not, or could not be, fetched. `code` is stable; the message has cause and way out."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def is_public(address: str) -> bool:
    """Whether an IP address is anybody's: not private, loopback, link-local, multicast, reserved or shared (CGNAT)."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return is_public(str(inner))
        if ip in ipaddress.ip_network("64:ff9b::/96"):  # NAT64
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip.is_site_local:  # given up in 2004, and routed within some networks still
            return False
    elif any(ip in network for network in NOT_PUBLIC):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class Downloader:
    """Fetches one address after another, slowly enough for each host. Proxies of the environment are not used."""

    def __init__(
        self,
        limits: DownloadLimits = DownloadLimits(),
        *,
        allowed: Callable[[str], bool] = is_public,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.limits = limits
        self._allowed = allowed
        self._sleep = sleep
        self._last: dict[str, float] = {}

    def fetch(self, url: str) -> bytes:
        """The body behind an http(s) address. Raises DownloadRefused."""
        deadline = time.monotonic() + self.limits.seconds
        for _ in range(self.limits.redirects + 1):
            parts = self._checked(url)
            self._wait_for(str(parts.hostname))
            try:
                body, target = self._request(parts, deadline)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise self._failed(url, error) from error
            if target is None:
                return body
            try:
                url = urljoin(url, target)
            except ValueError as error:
                raise DownloadRefused("bad_url", f"It redirects to {target[:200]!r}, which is no address.") from error
        raise DownloadRefused(
            "too_many_redirects", f"It redirects more than {self.limits.redirects} times. Give the final address."
        )

    def _checked(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as error:
            raise DownloadRefused("bad_url", f"{url[:200]!r} is no address: {error}.") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DownloadRefused("bad_url", f"{url[:200]!r} is no http or https address.")
        if parts.username or parts.password:
            raise DownloadRefused("bad_url", "The address carries a user name or password; it is not sent. Remove it.")
        if port not in self.limits.ports:
            raise DownloadRefused("bad_port", f"Port {port} is not one of {sorted(self.limits.ports)}.")
        if any(ord(character) <= 32 for character in url):
            raise DownloadRefused("bad_url", f"{url[:200]!r} holds a space or control character. Quote it as %20.")
        return parts

    def _wait_for(self, host: str) -> None:
        since = time.monotonic() - self._last.get(host, float("-inf"))
        if since < self.limits.pause:
            self._sleep(self.limits.pause - since)
        self._last[host] = time.monotonic()

    def _request(self, parts: SplitResult, deadline: float) -> tuple[bytes, str | None]:
        """The body, or where it redirects to."""
        connection = self._connect(parts, deadline)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(
                "GET", path, headers={"User-Agent": AGENT, "Accept": "image/*", "Accept-Encoding": "identity"}
            )
            with connection.getresponse() as response:
                if response.status in (301, 302, 303, 307, 308) and response.headers.get("Location"):
                    return b"", response.headers["Location"]
                if response.status != 200:
                    raise DownloadRefused(
                        "http_error", f"The server answered {response.status} {response.reason}. Check the address."
                    )
                return self._body(connection, response, deadline), None
        finally:
            connection.close()

    def _connect(self, parts: SplitResult, deadline: float) -> http.client.HTTPConnection:
        """A connection to an address that was checked itself: a name that resolves differently later gains nothing."""
        host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
        addresses = list(
            dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        )
        refused = [address for address in addresses if not self._allowed(address.split("%")[0])]
        if refused:
            raise DownloadRefused(
                "private_address", f"{host} is at {refused[0]}, which is not a public address. It is not fetched."
            )
        plain = socket.create_connection((addresses[0], port), timeout=max(0.01, deadline - time.monotonic()))
        connection = http.client.HTTPConnection(host, port)
        connection.sock = (
            ssl.create_default_context().wrap_socket(plain, server_hostname=host) if parts.scheme == "https" else plain
        )
        return connection

    def _body(
        self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse, deadline: float
    ) -> bytes:
        limit, body = self.limits.megabytes * 1_000_000, bytearray()
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if connection.sock is not None:
                connection.sock.settimeout(left)
            piece = response.read1(PIECE)
            if not piece:
                break
            body += piece
            if len(body) > limit:
                raise DownloadRefused(
                    "too_large", f"It sends more than {self.limits.megabytes} MB. Reduce the picture."
                )
        if response.length:
            raise http.client.IncompleteRead(bytes(body), response.length)
        return bytes(body)

    def _failed(self, url: str, error: Exception) -> DownloadRefused:
        if isinstance(error, TimeoutError):
            return DownloadRefused(
                "download_timeout", f"{url[:200]} did not arrive within {self.limits.seconds:g} s. Try again later."
            )
        cause = str(error) or type(error).__name__
        return DownloadRefused("download_failed", f"{url[:200]} could not be fetched: {cause}. Try again later.")

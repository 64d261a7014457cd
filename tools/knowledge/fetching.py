"""Fetch a document from the web: allowed hosts only, never a private address, at the address that was checked."""

import asyncio
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx2

from domain.errors import ConfigurationError, Forbidden, UnreadableDocument
from tools.transport import tls

SECONDS = 30.0
MOST_REDIRECTS = 3

type Address = IPv4Address | IPv6Address
type Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Fetched:
    """What was at an address."""

    content: bytes
    content_type: str
    url: str


@dataclass(frozen=True)
class Fetcher:
    """Where documents may be fetched from.

    Args:
        hosts: Names, in lower case; `.example.org` stands for every name below it, `name:8080` for a port of its own.
        networks: Private networks whose addresses are allowed all the same.
        most_bytes: Of one document.
    """

    hosts: tuple[str, ...]
    networks: tuple[Network, ...] = ()
    most_bytes: int = 10_000_000

    def check(self, url: str) -> httpx2.URL:
        """Return an address that may be asked; raises `Forbidden`."""
        try:
            parsed = httpx2.URL(url)
        except httpx2.InvalidURL as error:
            raise Forbidden("The url is not an address that documents are fetched from.") from error
        if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
            raise Forbidden("The url must begin with http:// or https://, name a host, and carry no password.")
        if not self._allows(parsed):
            raise Forbidden(f"Documents are not fetched from {parsed.host[:100]}: RAG_ALLOWED_HOSTS does not name it.")
        return parsed

    async def fetch(self, url: str) -> Fetched:
        """Return what is at an address; raises `Forbidden` and `UnreadableDocument`."""
        try:
            async with asyncio.timeout(SECONDS):
                return await self._fetched(url)
        except TimeoutError as error:
            raise UnreadableDocument("Fetching it took too long.") from error
        except httpx2.HTTPError as error:
            raise UnreadableDocument("Its host does not answer as a web server.") from error

    async def _fetched(self, url: str) -> Fetched:
        for _ in range(MOST_REDIRECTS + 1):
            asked = self.check(url)
            answer = await self._asked(asked, await self._address(asked))
            if isinstance(answer, Fetched):
                return answer
            url = str(asked.join(answer))
        raise UnreadableDocument("It is redirected too often.")

    async def _asked(self, url: httpx2.URL, address: Address) -> Fetched | str:
        """Return what an address says, or where it leads; the connection goes to the address that was checked."""
        pinned = url.copy_with(host=str(address))
        host = url.netloc.decode()
        # A TLS context for this one client: the name to be proved is the url's, not the address's.
        async with (
            httpx2.AsyncClient(verify=tls(str(url)), trust_env=False, timeout=10) as client,
            client.stream(
                "GET",
                pinned,
                headers={"Host": host, "Accept-Encoding": "identity"},
                extensions={"sni_hostname": url.host},
            ) as response,
        ):
            if response.is_redirect and "location" in response.headers:
                return response.headers["location"]
            if not response.is_success:
                raise UnreadableDocument(f"Its host answered with HTTP status {response.status_code}.")
            content = bytearray()
            async for part in response.aiter_bytes():
                content += part
                if len(content) > self.most_bytes:
                    raise UnreadableDocument(f"It has more than {self.most_bytes} bytes.")
            return Fetched(bytes(content), response.headers.get("content-type", ""), str(url))

    def _allows(self, url: httpx2.URL) -> bool:
        host = url.host.lower().rstrip(".")
        named = {host, f"{host}:{url.port}"} if url.port is None else {f"{host}:{url.port}"}
        below = url.port is None and any(host.endswith(each) for each in self.hosts if each.startswith("."))
        return below or bool(named & set(self.hosts))

    async def _address(self, url: httpx2.URL) -> Address:
        """Return where a host is; one address that is not public is enough to refuse it."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(url.host, None, type=socket.SOCK_STREAM)
        except OSError as error:
            raise UnreadableDocument(f"The host {url.host} has no address.") from error
        addresses = [ip_address(str(each[4][0]).partition("%")[0]) for each in found]
        if not addresses or not all(self._reaches(each) for each in addresses):
            raise Forbidden(f"The host {url.host} is at a private address; documents are fetched from public ones.")
        return addresses[0]

    def _reaches(self, address: Address) -> bool:
        if any(address in network for network in self.networks if network.version == address.version):
            return True
        inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None) or address
        return address.is_global and inner.is_global and not address.is_multicast and address not in NAT64


NAT64 = IPv6Network("64:ff9b::/96")


def fetcher(hosts: str, networks: str, *, most_bytes: int) -> Fetcher:
    """Return the fetcher of two settings, lists separated by commas; raises `ConfigurationError`."""
    try:
        allowed = tuple(ip_network(each) for each in _listed(networks))
    except ValueError as error:
        raise ConfigurationError("RAG_ALLOWED_NETWORKS is a list of networks such as 10.1.0.0/16.") from error
    return Fetcher(tuple(each.lower() for each in _listed(hosts)), allowed, most_bytes)


def _listed(text: str) -> Iterable[str]:
    return [each.strip() for each in text.split(",") if each.strip()]

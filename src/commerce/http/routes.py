"""Routes: a tree of path segments, made from the registry's endpoints."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote

from commerce.kernel.errors import ApiError
from commerce.resource.registry import TAKEN_AS, Endpoint

METHODS = ("GET", "POST", "PATCH", "DELETE")


class Match(NamedTuple):
    """An endpoint, and the parameters that stood in the path."""

    endpoint: Endpoint
    path: dict[str, str]


class _Node:
    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.endpoints: dict[str, tuple[Endpoint, tuple[str, ...]]] = {}


class Router:
    """Finds the endpoint of a method and a path."""

    def __init__(self, prefix: str, endpoints: list[tuple[Endpoint, str]]) -> None:
        self._root = _Node()
        for endpoint, path in endpoints:
            self._add(endpoint, prefix + path)

    def _add(self, endpoint: Endpoint, path: str) -> None:
        node = self._root
        names: list[str] = []
        for segment in path.split("/")[1:]:
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.children.setdefault(segment, _Node())
        assert endpoint.method not in node.endpoints, f"two endpoints at {path}"
        node.endpoints[endpoint.method] = (endpoint, tuple(names))

    def match(self, method: str, raw_path: str) -> Match:
        """Find an endpoint; raises `route_missing`, `method_not_allowed`.

        A segment is decoded by itself, so that an encoded slash stays within it.
        """
        node: _Node | None = self._root
        values: list[str] = []
        for segment in raw_path.split("/")[1:]:
            assert node is not None
            text = _decoded(segment) if "%" in segment else segment
            child = node.children.get(text)
            if child is None and (child := node.parameter) is not None:
                if not text or not text.isprintable():
                    child = None
                values.append(text)
            node = child
            if node is None:
                break
        if node is None or not node.endpoints:
            raise ApiError("route_missing", f"There is nothing at {method} {raw_path[:200]}.")
        stands_for = TAKEN_AS.get(method, method)
        if method not in node.endpoints and stands_for in node.endpoints:
            method = stands_for
        found = node.endpoints.get(method)
        if found is None:
            allowed = {*node.endpoints, "HEAD"} if "GET" in node.endpoints else node.endpoints
            allow = ", ".join(sorted(allowed))
            raise ApiError("method_not_allowed", headers={"Allow": allow})
        endpoint, names = found
        return Match(endpoint, dict(zip(names, values, strict=True)))


def _decoded(segment: str) -> str:
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        return ""

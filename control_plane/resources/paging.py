"""Lists, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query, Request

from control_plane.resources.arm_body import ArmBody
from control_plane.resources.urls import RequestLinks

_USUAL_PAGE = 200
_LARGEST_PAGE = 1000

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page:
    skip: int
    top: int


@dataclass(frozen=True, slots=True)
class Slice(Generic[Item]):
    """One page's items, and whether more follow."""

    items: Sequence[Item]
    has_more: bool

    @classmethod
    def of(cls, found: Sequence[Item], page: Page) -> "Slice[Item]":
        """From a query that asked for one item more than the page holds."""
        return cls(found[: page.top], len(found) > page.top)


class ListBody(ArmBody, Generic[Item]):
    value: list[Item]
    next_link: str | None = None


def _page(
    skip: Annotated[int, Query(alias="$skip", ge=0, le=2**31)] = 0,
    top: Annotated[int | None, Query(alias="$top", ge=1)] = None,
    count: Annotated[int | None, Query(ge=1)] = None,
) -> Page:
    return Page(skip, min(top or count or _USUAL_PAGE, _LARGEST_PAGE))


RequestPage = Annotated[Page, Depends(_page)]


def _next_link(request: Request, page: RequestPage, links: RequestLinks) -> str:
    following = request.url.include_query_params(**{"$skip": str(page.skip + page.top)})
    return f"{links.control}{following.path}?{following.query}"


NextLink = Annotated[str, Depends(_next_link)]
"""Where the page after this one is, if there is one."""

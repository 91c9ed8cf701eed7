"""The query parameters of lists, and the link to the next page."""

from typing import Annotated

from fastapi import Depends, Query, Request

from control_plane.resources.paging import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Page
from control_plane.web.urls import RequestUrls


def _page(
    skip: Annotated[int, Query(alias="$skip", ge=0, le=2**31)] = 0,
    top: Annotated[int | None, Query(alias="$top", ge=1)] = None,
    count: Annotated[int | None, Query(ge=1)] = None,
) -> Page:
    return Page(skip, min(top or count or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE))


RequestedPage = Annotated[Page, Depends(_page)]


def _next_link(request: Request, page: RequestedPage, urls: RequestUrls) -> str:
    following = request.url.include_query_params(**{"$skip": str(page.skip + page.top)})
    return f"{urls.control}{following.path}?{following.query}"


NextLink = Annotated[str, Depends(_next_link)]
"""URL of the page after the requested page, whether or not there is one."""

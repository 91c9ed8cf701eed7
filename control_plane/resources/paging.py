"""Pages of lists."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Select

from control_plane.resources.arm_body import ArmBody

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000

Item = TypeVar("Item")
Row = TypeVar("Row")
Body = TypeVar("Body")


@dataclass(frozen=True, slots=True)
class Page:
    skip: int
    top: int

    def of(self, query: Select[Row]) -> Select[Row]:
        """Select the page's rows, and one row more when another page follows."""
        return query.offset(self.skip).limit(self.top + 1)


@dataclass(frozen=True, slots=True)
class PageResult(Generic[Item]):
    items: Sequence[Item]
    has_more: bool

    @classmethod
    def of(cls, found: Sequence[Item], page: Page) -> "PageResult[Item]":
        """`found` are the results of a query made by `Page.of`."""
        return cls(found[: page.top], len(found) > page.top)


class ListBody(ArmBody, Generic[Item]):
    value: list[Item]
    next_link: str | None = None


def list_body(found: PageResult[Item], to_body: Callable[[Item], Body], next_link: str) -> ListBody[Body]:
    """`next_link` is the URL of the next page, used if there is one."""
    return ListBody(value=[to_body(item) for item in found.items], next_link=next_link if found.has_more else None)

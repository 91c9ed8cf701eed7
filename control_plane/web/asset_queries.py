"""The query parameters of lists of assets."""

from typing import Annotated

from fastapi import Depends, Query

from control_plane.resources.assets.asset import ListView, VersionQuery
from modelyard.core.errors import InvalidRequest

_View = Annotated[str, Query(alias="listViewType", description="ActiveOnly, ArchivedOnly or All.")]
_Order = Annotated[str, Query(alias="$orderBy", description="createdtime desc (as it is) or createdtime asc.")]


def _list_view(list_view_type: _View = ListView.ACTIVE_ONLY) -> ListView:
    try:
        return ListView(list_view_type)
    except ValueError:
        known = ", ".join(ListView)
        raise InvalidRequest(f"listViewType is one of {known}, not {list_view_type!r}", target="listViewType") from None


RequestedView = Annotated[ListView, Depends(_list_view)]


def _version_query(view: RequestedView, order_by: _Order = "createdtime desc") -> VersionQuery:
    words = order_by.lower().split()
    if words not in (["createdtime", "desc"], ["createdtime", "asc"], ["createdtime"]):
        raise InvalidRequest(
            f"$orderBy is 'createdtime desc' or 'createdtime asc', not {order_by!r}", target="$orderBy"
        )
    return VersionQuery(view, oldest_first=words[-1] != "desc")


RequestedVersions = Annotated[VersionQuery, Depends(_version_query)]

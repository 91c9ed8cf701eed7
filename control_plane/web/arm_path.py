"""Resource Manager's paths: the fixed segments are read in any case, and a final slash is ignored.

A name of an asset or a compute may begin with `azureml:`, because Azure's SDK takes parts of references for names.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from control_plane.web.error_response import platform_error_response
from modelyard.core.domain.resource_ids import PROVIDER
from modelyard.core.errors import ResourceNotFound

_FIXED_SEGMENTS = (
    "subscriptions resourceGroups providers workspaces models versions environments onlineEndpoints deployments "
    "listKeys regenerateKeys token getLogs skus scoringScript workers builtEnvironments pruneEnvironments "
    "startPendingUpload files locations mfeOperationsStatus mfeOperationResults "
    "data codes computes batchEndpoints jobs cancel events tokens vmSizes usages listNodes datastores listSecrets "
    "runs details children rundata experiments dataversion batchGetResolvedUris datasets"
)
_CANONICAL = {segment.lower(): segment for segment in (*_FIXED_SEGMENTS.split(), PROVIDER)}
RUN_HISTORY = "/history/v1.0"
DATA_SETS = "/data/v1.0"
BATCH_FRONT_END = "/mferp/managementfrontend"
"""Each precedes the path of a workspace in the routes that Azure serves beside Resource Manager."""
_PREFIXES = (RUN_HISTORY, DATA_SETS, BATCH_FRONT_END)
_BEFORE_FIXED = ("providers", "dataversion")
_NAMED_BY_REFERENCE = frozenset({"models", "environments", "data", "datasets", "codes", "computes", "datastores"})
_PREFIX = "azureml:"


def canonical_path(path: str) -> str:
    """Spell the fixed segments as the routes do. Fixed segments and names alternate: /subscriptions/<name>/…"""
    segments = path.strip("/").split("/")
    prefix = "/" + "/".join(segments[:2]).lower()
    if prefix not in _PREFIXES:
        return "/" + "/".join(_spelled(segments)) if segments[0].lower() == "subscriptions" else path
    return "/".join([prefix, *_spelled(segments[2:])])


def _spelled(segments: list[str]) -> list[str]:
    return [
        _CANONICAL.get(segment.lower(), segment) if _is_fixed(index, segments) else _name(index, segments)
        for index, segment in enumerate(segments)
    ]


def _name(index: int, segments: list[str]) -> str:
    name = segments[index]
    has_prefix = segments[index - 1].lower() in _NAMED_BY_REFERENCE and name.lower().startswith(_PREFIX)
    return name[len(_PREFIX) :] if has_prefix else name


def _is_fixed(index: int, segments: list[str]) -> bool:
    return index % 2 == 0 or segments[index - 1].lower() in _BEFORE_FIXED


class ArmPathMiddleware:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if "\0" in scope["path"]:
                await platform_error_response(ResourceNotFound("the path contains a character that no name has"))(
                    scope, receive, send
                )
                return
            scope = {**scope, "path": canonical_path(scope["path"])}
        await self._app(scope, receive, send)

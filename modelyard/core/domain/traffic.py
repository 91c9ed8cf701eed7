"""The division of live requests among the deployments of an endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelyard.core.errors import InvalidTraffic

_MOST_MIRRORED = 50


@dataclass(frozen=True, slots=True)
class TrafficSplit:
    """Percent of live requests per deployment name. The percentages add up to 100, or to 0 for no traffic.

    `mirror` is the percent of requests copied to one further deployment, whose answers are discarded.
    """

    percent_by_deployment: Mapping[str, int] = field(default_factory=dict)
    mirror: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_each_share()
        total = sum(self.percent_by_deployment.values())
        if total not in {0, 100}:
            raise InvalidTraffic(
                f"traffic adds up to {total} %: use 100 %, or 0 % for no traffic",
                target="traffic",
            )
        mirrored = {name for name, percent in self.mirror.items() if percent}
        if len(mirrored) > 1 or any(percent > _MOST_MIRRORED for percent in self.mirror.values()):
            raise InvalidTraffic(
                f"mirrorTraffic may name one deployment with at most {_MOST_MIRRORED} %", target="mirrorTraffic"
            )
        both = mirrored & {name for name, percent in self.percent_by_deployment.items() if percent}
        if both:
            raise InvalidTraffic(
                f"deployment {both.pop()!r} cannot receive live and mirrored traffic at once", target="mirrorTraffic"
            )

    def _check_each_share(self) -> None:
        for name, percent in (*self.percent_by_deployment.items(), *self.mirror.items()):
            if not 0 <= percent <= 100:
                raise InvalidTraffic(
                    f"traffic of {name!r} must be a whole percentage from 0 to 100, not {percent}", target="traffic"
                )

    def check_deployments(self, existing: set[str]) -> None:
        """Raise InvalidTraffic for a share of a deployment that does not exist."""
        unknown = sorted({*self.percent_by_deployment, *self.mirror} - existing)
        if unknown:
            known = ", ".join(sorted(existing)) or "none yet"
            raise InvalidTraffic(
                f"traffic names {', '.join(map(repr, unknown))}, but the endpoint's deployments are: {known}",
                target="traffic",
            )

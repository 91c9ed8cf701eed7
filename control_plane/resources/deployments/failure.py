"""Why a deployment is Failed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    message: str

"""The Caller of a request, as AuthenticationMiddleware has set it."""

from typing import Annotated

from fastapi import Depends, Request

from modelyard.core.domain.caller import Caller


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


RequestCaller = Annotated[Caller, Depends(_caller)]

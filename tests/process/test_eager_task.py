"""Coroutines that start at once: steps, cancellation, ends."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from modelyard.process.eager_task import EagerTask


def started(coroutine: Coroutine[Any, Any, None], ended: list[EagerTask] | None = None) -> EagerTask:
    task = EagerTask(coroutine, (ended if ended is not None else []).append)
    task.step()
    return task


def test_coroutine_runs_to_its_first_wait_at_once_and_goes_on_after_each_wait() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, seen, ended = loop.create_future(), list[object](), list[EagerTask]()

        async def work() -> None:
            seen.append("begun")
            seen.append(await first)
            await asyncio.sleep(0)
            seen.append(await asyncio.to_thread(lambda: "thread"))

        task = started(work(), ended)
        assert seen == ["begun"]
        first.set_result("first")
        while not task.done():
            await asyncio.sleep(0.001)
        assert (seen, ended) == (["begun", "first", "thread"], [task])
        assert not task.cancel()

    asyncio.run(main())


@pytest.mark.parametrize("is_answered", [False, True])
def test_cancelled_coroutine_gets_the_error_where_it_waits(is_answered: bool) -> None:
    async def main() -> None:
        awaited, seen, ended = asyncio.get_running_loop().create_future(), list[str](), list[EagerTask]()

        async def work() -> None:
            try:
                await awaited
            except asyncio.CancelledError:
                seen.append("cancelled")
                await asyncio.sleep(0)
                seen.append("tidied up")
                raise

        task = started(work(), ended)
        if is_answered:
            # The coroutine has not seen the result yet.
            awaited.set_result(None)
        assert task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert (seen, ended) == (["cancelled", "tidied up"], [task])

    asyncio.run(main())


def test_coroutine_that_cancels_itself_gets_the_error_at_its_next_wait() -> None:
    async def main() -> None:
        tasks, ended = list[EagerTask](), list[EagerTask]()

        async def work() -> None:
            await asyncio.sleep(0)
            tasks[0].cancel()
            await asyncio.get_running_loop().create_future()

        tasks.append(started(work(), ended))
        for _ in range(5):
            await asyncio.sleep(0)
        assert ended == tasks

    asyncio.run(main())

"""The steps of a deployment, from what the platform and a worker record."""

import pytest

from benchmarks.deploy_steps import MODEL_STEP, STEPS, DeploySteps, StepMissing, moments_of_log

LOG = """\
2026-11-28 00:13:57,376 I [17550] modelyard - Worker started for a/b, generation 1, Python 3.11.7
2026-11-28 00:14:01,000 W [17550] stderr - a line of the model
2026-11-28 00:14:02,003 I [17550] modelyard - Array shortcut on trial: 8 generated requests had equal results (250 ms)
2026-11-28 00:14:02,500 I [17550] modelyard - Worker ready after 5.1 s
"""


class TestWorkerLog:
    def test_proof_of_the_shortcut_is_not_part_of_the_models_load(self) -> None:
        moments = moments_of_log(LOG)

        assert moments[MODEL_STEP] - moments["start of the worker"] == pytest.approx(4.874)
        assert moments["proof of the array shortcut"] - moments[MODEL_STEP] == pytest.approx(0.25)

    def test_worker_that_is_not_ready_has_no_moment_of_readiness(self) -> None:
        assert moments_of_log(LOG.splitlines()[0]).keys() == {"start of the worker"}


class TestDeploySteps:
    def test_steps_last_from_the_end_of_the_step_before(self) -> None:
        found = DeploySteps()
        ends = {name: 100.0 + 2 * number for number, name in enumerate(STEPS, start=1)}

        found.add({"begin": 100.0, **ends})

        assert {name: seconds for name, (seconds,) in found.steps.items()} == dict.fromkeys(STEPS, 2.0)
        assert found.whole == [2.0 * len(STEPS)]
        assert found.ours == 2.0 * len(STEPS) - 2.0

    def test_step_without_a_moment_is_named(self) -> None:
        ends = {name: 1.0 for name in STEPS if name != "claim"}

        with pytest.raises(StepMissing, match="claim"):
            DeploySteps().add({"begin": 0.0, **ends})

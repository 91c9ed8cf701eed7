"""The array shortcut: a proven model gets a request's numbers as an array in place of a DataFrame.

Making a DataFrame, and a library's reading of the DataFrame, take longer than most predictions. The shortcut is proven
and not assumed: on generated requests at load and on the first requests, the model predicts from the DataFrame and from
the array, callers get the DataFrame's result, and both results must be equal to the bit. Later requests are checked by
samples. The first difference turns the shortcut off until the worker ends, and the platform passes the news on to the
other workers of the generation. Errors are those of the DataFrame always.
"""

import os
import time
import types
import warnings
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from . import output
from .array_input import ArrayReader
from .inputs import read_input
from .proof_requests import proof_requests, read_example
from .same_result import difference
from .shortcut_model import LeftAlone, Predict, ShortcutModel, recognise

SETTING = "MODELYARD_FAST_PATH"

# Number of requests with equal results before arrays are trusted.
_TRIALS = 16
# Of 256 later requests, one is checked.
_SAMPLE = 256
_LOAD_SECONDS = 0.03
"""Processor time for generated requests after the first, which also warms the model up."""
_MAX_LOAD_SECONDS = 0.3
"""Real time for generated requests, for models that compute in other threads and for a busy machine."""
_MAX_CALL_SECONDS = 0.1
"""A caller does not notice what the shortcut gains in a longer call."""
_TRIAL_SECONDS = 1.0
"""Time that the calls with arrays may add to the trial requests together."""

# scikit-learn and LightGBM warn for arrays; the model did get the names, which the reader of arrays has compared.
_NAMES_WARNING = "X does not have valid feature names"

Warned = List[Tuple[str, str]]


class Answer(NamedTuple):
    result: Any
    seconds: float
    """Duration of the model's call."""


class _Outcome(NamedTuple):
    result: Any
    error: Optional[Exception]
    seconds: float

    def answer(self) -> Answer:
        if self.error is not None:
            raise self.error
        return Answer(self.result, self.seconds)


class ArrayShortcut:
    """Scores requests by the script's `run`: with arrays where proven, otherwise with the request's own input."""

    def __init__(self, run: Predict) -> None:
        self._run = run
        self._run_array = run
        self._reader: Optional[ArrayReader] = None
        self._takes_params = True
        self._trials_left = _TRIALS
        self._trial_seconds = 0.0
        self._requests = 0
        self.has_differed = False
        """Whether arrays gave another result, here or in another worker of the generation."""

    @property
    def is_on(self) -> bool:
        """Whether arrays are in use or on trial."""
        return self._reader is not None

    def score(self, payload: Dict[str, Any], body: bytearray, params: Optional[Dict[str, Any]]) -> Answer:
        reader = self._reader
        array = None
        if reader is not None and (self._takes_params or not params):
            array = reader.read(payload, body)
        if reader is None or array is None:
            return _call(self._run, read_input(payload, body), params)
        self._requests += 1
        if self._trials_left or not self._requests % _SAMPLE:
            return self._score_twice(reader, array, payload, body, params)
        try:
            return _call(self._run_array, array, params)
        except Exception as error:  # noqa: BLE001 - the DataFrame decides below
            failure = repr(error)
        answer = _call(self._run, read_input(payload, body), params)
        self._differs("the array raised {}".format(failure[:200]))
        return answer

    def note_difference_elsewhere(self) -> None:
        if not self.has_differed:
            self._differs("another worker of the generation found a difference")

    def prove(self, model: ShortcutModel, model_folder: str) -> None:
        """Turn the shortcut on for as long as all generated requests have equal results."""
        self._reader = reader = ArrayReader(model.columns, as_doubles=model.has_boosters)
        self._run_array = model.predict or self._run
        self._takes_params = model.predict is None
        started = time.perf_counter()
        warm = time.thread_time()
        example = read_example(model_folder, model.columns)
        calls: List[float] = []
        equal = 0
        for number, (payload, body) in enumerate(proof_requests(model.columns, example)):
            if number == 1:
                warm = time.thread_time()
            array = reader.read(payload, body)
            if array is not None:
                expected, actual = self._try(reader, array, payload, body)
                calls.append(actual.seconds)
                equal += expected.error is None
            # The faster of two calls: the first warms the model up, and a busy machine may delay one.
            if number == 1 and min(calls, default=0.0) > _MAX_CALL_SECONDS:
                self._turn_off("a call takes {:.0f} ms, so there is nothing to gain".format(min(calls) * 1e3))
            is_late = time.thread_time() - warm > _LOAD_SECONDS or time.perf_counter() - started > _MAX_LOAD_SECONDS
            if not self.is_on or (number and is_late):
                break
        if self._reader is not None:
            warnings.filterwarnings("ignore", message=_NAMES_WARNING, category=UserWarning)
            output.log(
                output.INFO,
                "Array shortcut on trial: {} generated requests had equal results ({:.0f} ms)".format(
                    equal, (time.perf_counter() - started) * 1e3
                ),
            )

    # Comparing both ways.

    def _try(
        self, reader: ArrayReader, array: Any, payload: Dict[str, Any], body: bytearray
    ) -> Tuple["_Outcome", "_Outcome"]:
        """Compare a generated request; return the outcomes of the DataFrame and of the array."""
        frame = read_input(payload, body)
        if not reader.is_array_of(frame, array):
            raise LeftAlone("this pandas makes another array of a DataFrame")
        expected, frame_warnings = _recorded(self._run, frame)
        actual, array_warnings = _recorded(self._run_array, array)
        if frame_warnings != [each for each in array_warnings if not each[1].startswith(_NAMES_WARNING)]:
            self._differs("the model warns about a DataFrame and not about an array, or the other way round")
        self._compare(expected, actual)
        return expected, actual

    def _score_twice(
        self,
        reader: ArrayReader,
        array: Any,
        payload: Dict[str, Any],
        body: bytearray,
        params: Optional[Dict[str, Any]],
    ) -> Answer:
        frame = read_input(payload, body)
        if not reader.is_array_of(frame, array):
            self._differs("this pandas made another array of a request's DataFrame")
            return _call(self._run, frame, params)
        expected = _outcome(self._run, frame, params)
        actual = _outcome(self._run_array, array, params)
        self._compare(expected, actual)
        if self._trials_left and self.is_on and expected.error is None:
            self._trials_left -= 1
            self._trial_seconds += actual.seconds
            if self._trial_seconds > _TRIAL_SECONDS:
                self._turn_off("the model's calls take too long for the proof")
            elif not self._trials_left:
                output.log(output.INFO, "Array shortcut on: {} requests had equal results".format(_TRIALS))
        return expected.answer()

    def _compare(self, expected: _Outcome, actual: _Outcome) -> None:
        if expected.error is not None and actual.error is not None:
            return
        if expected.error is not None:
            self._differs("the DataFrame raised {!r}, and the array did not".format(expected.error))
        elif actual.error is not None:
            self._differs("the array raised {!r}".format(actual.error))
        else:
            found = difference(expected.result, actual.result)
            if found is not None:
                self._differs("the result from an array was not the same: {}".format(found))

    def _differs(self, reason: str) -> None:
        self.has_differed = True
        self._turn_off(reason)

    def _turn_off(self, reason: str) -> None:
        if self._reader is not None:
            self._reader = None
            output.log(output.WARNING, "Array shortcut off from now on: {}".format(reason[:500]))


def array_shortcut(run: Predict, script: types.ModuleType, environment: Mapping[str, str]) -> ArrayShortcut:
    """Return the shortcut of a loaded script, proven as far as possible before the first request."""
    shortcut = ArrayShortcut(run)
    if getattr(script, "ACCEPTS_ARRAY", None) is not True:
        return shortcut
    try:
        setting = environment.get(SETTING, "on")
        if setting.strip().lower() != "on":
            raise LeftAlone("{} is {!r}".format(SETTING, setting[:40]))
        model = recognise(script)
        folder = os.path.join(environment.get("AZUREML_MODEL_DIR", ""), getattr(script, "MODEL_FOLDER", ""))
        shortcut.prove(model, folder)
    except LeftAlone as reason:
        shortcut = ArrayShortcut(run)
        output.log(output.INFO, "Array shortcut off: {}".format(reason))
    except Exception as error:  # noqa: BLE001 - a model without a shortcut still serves
        shortcut._turn_off("the proof failed: {!r}".format(error))
    return shortcut


def _call(run: Predict, value: Any, params: Optional[Dict[str, Any]]) -> Answer:
    started = time.perf_counter()
    result = run(value, params)
    return Answer(result, time.perf_counter() - started)


def _outcome(run: Predict, value: Any, params: Optional[Dict[str, Any]]) -> _Outcome:
    started = time.perf_counter()
    try:
        result = run(value, params)
    except Exception as error:  # noqa: BLE001 - both ways may raise
        return _Outcome(None, error, time.perf_counter() - started)
    return _Outcome(result, None, time.perf_counter() - started)


def _recorded(run: Predict, value: Any) -> Tuple[_Outcome, Warned]:
    """The caller's log gets no warnings about generated requests."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome = _outcome(run, value, None)
    return outcome, [(each.category.__name__, str(each.message)) for each in caught]

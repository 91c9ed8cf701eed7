"""Whether the broker answers, asked in the way that everybody who uses it does."""

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from modelyard.supervisor.environment_settings import place_of
from modelyard.supervisor.options import StartRefused
from modelyard.supervisor.patience import NotYet

_ANSWER_SECONDS = 3.0


def check_broker(url: str) -> None:
    """Raises NotYet while nobody answers, and StartRefused when the answer is no."""
    quick = {"socket_connect_timeout": _ANSWER_SECONDS, "socket_timeout": _ANSWER_SECONDS, "max_retries": 0}
    connection = Celery(broker=url, set_as_current=False).connection_for_write(transport_options=quick)
    try:
        connection.connect()
    except (AuthenticationError, ResponseError) as error:
        raise _refused(url, error) from None
    except (BusyLoadingError, ConnectionError, TimeoutError, OperationalError, OSError) as error:
        raise NotYet(_first_line(error)) from None
    except RedisError as error:
        raise _refused(url, error) from None
    finally:
        connection.release()


def _refused(url: str, error: Exception) -> StartRefused:
    return StartRefused(
        f"the broker at {place_of(url)} refuses us ({_first_line(error)}): correct MODELYARD_BROKER_URL"
    )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__

"""The broker at a start: checked through Celery, as every process of the platform uses it."""

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

from modelyard.supervisor.environment_settings import server_address
from modelyard.supervisor.options import StartRefused
from modelyard.supervisor.start_deadline import NotReady

_ANSWER_SECONDS = 3.0


def check_broker(url: str) -> None:
    """Raises NotReady while the broker does not answer, and StartRefused for a rejected connection."""
    quick = {"socket_connect_timeout": _ANSWER_SECONDS, "socket_timeout": _ANSWER_SECONDS, "max_retries": 0}
    connection = Celery(broker=url, set_as_current=False).connection_for_write(transport_options=quick)
    try:
        connection.connect()
    except (AuthenticationError, ResponseError) as error:
        raise _rejected(url, error) from None
    except (BusyLoadingError, ConnectionError, TimeoutError, OperationalError, OSError) as error:
        raise NotReady(_first_line(error)) from None
    except RedisError as error:
        raise _rejected(url, error) from None
    finally:
        connection.release()


def _rejected(url: str, error: Exception) -> StartRefused:
    return StartRefused(
        f"the broker at {server_address(url)} rejected the connection ({_first_line(error)}): correct "
        "MODELYARD_BROKER_URL"
    )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__

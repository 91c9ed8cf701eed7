import os
import threading

from modelyard.process.lifeline import when_cut


def test_end_of_the_last_writer_is_noticed_on_a_non_blocking_pipe():
    reader, writer = os.pipe()
    # As an event loop does in one of the processes that share the pipe.
    os.set_blocking(reader, False)
    cut = threading.Event()
    when_cut(reader, cut.set)
    assert not cut.is_set()
    os.close(writer)
    assert cut.wait(10)
    os.close(reader)

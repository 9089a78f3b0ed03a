"""The socket by which a running profiler is asked from outside the process."""

import errno
import json
import os
import socket
import stat
import threading

import pytest

from memlens.errors import OptionError
from memlens.profiler import control_socket, registry
from memlens.profiler.control_socket import ControlSocket
from memlens.profiler.listener import Listener
from memlens.profiler.memory_profiler import MemoryProfiler
from tests.own_threads import own_threads

pytestmark = pytest.mark.skipif(
    not hasattr(socket, "SO_PEERCRED"), reason="needs credentials of peers, as Linux has them"
)


@pytest.fixture(autouse=True)
def runtime(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setattr(control_socket, "_IDLE_SECONDS", 0.5)
    return tmp_path / "run" / "memlens"


@pytest.fixture
def control():
    failures = []
    opened = ControlSocket({"echo": dict, "fail": lambda request: 1 / 0}, failures.append)
    opened.open()
    [thread] = own_threads("memlens-control")
    yield opened
    opened.close()
    thread.wait_for_end()
    assert failures == []


def send(line, path=None):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path or registry.own_socket_path())
        try:
            client.sendall(line)
            return client.makefile().readline()
        except ConnectionError:  # closed before it has read everything
            return ""


def asked(**request):
    return json.loads(send(json.dumps(request).encode() + b"\n"))


def test_a_request_is_answered_and_further_ones_too(control):
    assert asked(command="echo", text="é") == {"answer": {"command": "echo", "text": "é"}}
    assert asked(command="fail") == {"error": "ZeroDivisionError: division by zero"}
    assert asked(command="other") == {"error": "unknown command; known are echo, fail"}
    assert json.loads(send(b"[]\n"))["error"] == "the request is not a JSON object with a command"
    assert json.loads(send(b"{\n"))["error"] == "the request is not a JSON object with a command"


def test_the_thread_that_waits_reserves_no_descriptor(control):
    assert "answer" in asked(command="echo")
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        for number in 50 * [*range(null + 20)]:
            if not is_open(number):
                os.dup2(null, number)  # "Device or resource busy" if the number is reserved
                os.close(number)
    finally:
        os.close(null)


def is_open(descriptor):
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_no_timeout_ends_the_thread_before_the_socket_is_closed():
    socket.setdefaulttimeout(0.01)
    opened = ControlSocket({"echo": dict}, lambda error: None)
    try:
        opened.open()
        [thread] = own_threads("memlens-control")
        thread.wait_for_end(0.1)  # several times as long as the timeouts
        assert thread.is_alive()
        socket.setdefaulttimeout(None)
        assert "answer" in asked(command="echo")
    finally:
        socket.setdefaulttimeout(None)
        opened.close()
    thread.wait_for_end(10)
    assert not thread.is_alive()


def test_the_thread_ends_whenever_the_socket_is_closed_and_closes_it_itself():
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(50):
        opened = ControlSocket({}, pytest.fail)
        opened.open()
        [thread] = own_threads("memlens-control")
        opened.close()
        assert not thread.is_alive()
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def _closed_by_the_program(control, tmp_path):
    """The program closes all descriptors, as a daemon does, and opens a file with the same number."""
    number = control._listener._socket.fileno()
    os.close(number)
    with open(tmp_path / "of the program", "w") as file:
        if file.fileno() != number:
            os.dup2(file.fileno(), number)
        yield
        os.fstat(number)  # is still open
        if file.fileno() != number:
            os.close(number)


@pytest.mark.usefixtures("_closed_by_the_program")
def test_a_descriptor_that_the_program_has_closed_is_left_to_it(control):
    control.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.usefixtures("_closed_by_the_program")
def test_a_forked_child_leaves_it_to_the_program_too(control, tmp_path):
    number = control._listener._socket.fileno()
    child = os.fork()
    if child == 0:
        is_same = os.path.samestat(os.fstat(number), os.stat(tmp_path / "of the program"))
        os._exit(0 if is_same and "answer" in asked(command="echo") else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_the_thread_goes_on_where_the_system_lacks_memory_for_a_moment(control, monkeypatch):
    failed = threading.Event()
    wait = Listener.wait

    def fail_once(listener, seconds):
        monkeypatch.setattr(Listener, "wait", wait)
        failed.set()
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(control_socket, "_RETRY_SECONDS", 0.0)
    monkeypatch.setattr(Listener, "wait", fail_once)
    assert failed.wait(60)  # it waits anew at least twice a second
    assert "answer" in asked(command="echo")


def test_a_socket_that_the_program_has_closed_is_opened_again():
    opened = ControlSocket({"echo": dict}, pytest.fail)
    opened.open()
    [first] = own_threads("memlens-control")
    os.close(opened._listener._socket.fileno())
    first.wait_for_end(60)
    assert "answer" in asked(command="echo")
    [second] = own_threads("memlens-control")
    opened.close()
    assert not second.is_alive()


def test_only_the_user_may_use_the_file(control, runtime):
    [name] = os.listdir(runtime)
    status = os.stat(runtime / name)
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert stat.S_IMODE(os.stat(runtime).st_mode) == 0o700


def test_another_user_gets_no_answer(control, monkeypatch):
    monkeypatch.setattr(control_socket.os, "geteuid", lambda: 4711)
    monkeypatch.setattr(control_socket, "_CREDENTIALS", _OtherUser())
    assert send(b'{"command": "echo"}\n') == ""


class _OtherUser:
    size = 12

    def unpack(self, packed):
        return 1, 12345, 12345


def test_a_request_that_is_too_long_gets_no_answer_and_the_next_one_does(control):
    assert send(b" " * (1 << 17) + b"\n") == ""
    assert "answer" in asked(command="echo")


def test_closing_deletes_the_file_and_ends_the_thread(control, runtime):
    [thread] = own_threads("memlens-control")
    control.close()
    control.close()
    thread.wait_for_end(10)
    assert not thread.is_alive()
    assert not runtime.exists()
    control.open()
    assert "answer" in asked(command="echo")


def test_a_long_path_of_the_folder_is_no_obstacle(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("x" * 150)))
    opened = ControlSocket({"echo": dict}, pytest.fail)
    opened.open()
    assert opened.is_open
    opened.close()


def test_a_folder_of_another_user_is_not_used(runtime, monkeypatch):
    runtime.mkdir(parents=True)
    runtime.chmod(0o777)
    opened = ControlSocket({}, pytest.fail)
    opened.open()
    assert not opened.is_open
    assert os.listdir(runtime) == []


def test_a_socket_that_cannot_be_made_is_counted_and_the_program_goes_on(monkeypatch):
    failures = []

    def fail(path):
        raise OSError("no descriptor is free")

    monkeypatch.setattr(control_socket, "Listener", fail)
    opened = ControlSocket({}, failures.append)
    opened.open()
    assert [str(error) for error in failures] == ["no descriptor is free"]
    opened.close()


@pytest.mark.usefixtures("planted")
def test_a_profiler_opens_it_and_closes_it(tmp_path, runtime):
    with MemoryProfiler(tmp_path / "out", sample_interval=3600, allocations=None):
        assert [name for name in os.listdir(runtime) if name.endswith(".sock")]
        answer = asked(command="attach")["answer"]
        assert answer == {"output_dir": str(tmp_path / "out"), "was_running": True}
        assert "only the program may stop it" in asked(command="stop")["error"]
    assert not runtime.exists()


@pytest.mark.usefixtures("planted")
def test_it_can_be_turned_off(tmp_path, runtime):
    options = {"sample_interval": 3600, "allocations": None, "control_socket": False}
    with MemoryProfiler(tmp_path / "out", **options):
        assert not [name for name in os.listdir(runtime) if name.endswith(".sock")]
    with pytest.raises(OptionError, match="control_socket must be True or False"):
        MemoryProfiler(tmp_path / "out", control_socket="no")


@pytest.mark.usefixtures("planted")
def test_one_that_may_be_stopped_is_stopped(tmp_path):
    profiler = MemoryProfiler(tmp_path / "out", sample_interval=3600, allocations=None)
    profiler.may_be_stopped = True
    profiler.start()
    assert asked(command="stop") == {"answer": {"output_dir": str(tmp_path / "out")}}
    assert not profiler.is_running


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_has_a_socket_of_its_own(control, runtime):
    before = registry.own_socket_path()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            own = registry.own_socket_path()
            is_good = own != before and "answer" in asked(command="echo") and os.path.exists(before)
            control.close()
            os.write(writer, b"good" if is_good and os.path.exists(before) else b"bad")
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        assert file.read() == b"good"
    os.waitpid(child, 0)
    assert "answer" in asked(command="echo")
    assert [name.split("-")[0] for name in os.listdir(runtime)] == [str(os.getpid())]


def test_a_second_one_in_the_process_is_asked_and_stays_when_the_first_is_closed(control):
    second = ControlSocket({"second": dict}, pytest.fail)
    second.open()
    control.close()
    assert asked(command="second") == {"answer": {"command": "second"}}
    second.close()

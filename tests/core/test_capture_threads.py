"""A capture while a thread of C code enters Python for the first time."""

import os
import sys

import pytest

from memlens import _core
from tests.core.sampler_child import run_plain
from tests.core.test_sampler_fork import compiled

# Preloaded: the first call of PyGILState_Ensure in a new thread is held within PyThreadState_New, where
# the state is the head of the list and is not complete. Another thread lets it go on a little later.
HOLD = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>
static int inside[2], resume[2];
static __thread int held;
unsigned long PyThread_get_thread_native_id(void)
{
    if (held) {
        char byte = 1;
        held = 0;
        (void)!write(inside[1], &byte, 1);
        (void)!read(resume[0], &byte, 1);
    }
    return (unsigned long)syscall(SYS_gettid);
}
static void *enter(void *unused)
{
    int (*ensure)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "PyGILState_Ensure");
    void (*release)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "PyGILState_Release");
    held = 1;
    release(ensure());
    return unused;
}
static void *let_go(void *unused)
{
    char byte = 1;
    usleep(200000);
    (void)!write(resume[1], &byte, 1);
    return unused;
}
int begin(void) /* whether a thread is held there now */
{
    pthread_t first, second;
    if (pipe(inside) || pipe(resume) || pthread_create(&first, NULL, enter, NULL)) {
        return 0;
    }
    struct pollfd waiting = {inside[0], POLLIN, 0};
    int is_held = poll(&waiting, 1, 2000) == 1;
    pthread_create(&second, NULL, let_go, NULL);
    return is_held;
}
"""
PROGRAM = """
import ctypes, sys
import memlens
from memlens import _core
library = ctypes.PyDLL({library!r})  # a PyDLL keeps the GIL
library.begin.argtypes = []
if not library.begin():
    print("not held")
elif {mode!r} == "inline":
    print(len(_core.capture()["node_address"]) > 1000)
else:
    print(memlens.take_heap_snapshot(mode="fork").object_count > 1000)
"""


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="a state in the list is complete")
@pytest.mark.skipif(_core.fork_capture is None, reason="the pure core asks the interpreter")
@pytest.mark.parametrize("mode", ["inline", "fork"])
def test_thread_state_that_is_not_complete_is_not_read(mode, tmp_path):
    library = os.fspath(compiled(HOLD, tmp_path))
    preloaded = ":".join(filter(None, [os.environ.get("LD_PRELOAD"), library]))
    said = run_plain(PROGRAM.format(library=library, mode=mode), LD_PRELOAD=preloaded).strip()
    if said == "not held":
        pytest.skip("this build of Python does not let its functions be replaced")
    assert said == "True"

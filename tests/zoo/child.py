"""Run one program of the zoo and write what memlens says of it: the child process of the judge.

python child.py snapshots|two|profiler warm|start PROGRAM OUTPUT
"""

import json
import os
import runpy
import sys
import tempfile

import memlens


def write_and_exit(value, output):
    """Write a JSON value and end at once: clean-up of the program is not what is judged."""
    with open(output, "w", encoding="utf-8") as file:
        json.dump(value, file)
    os._exit(0)


def snapshots(pace, moments, at_start, output):
    """Take snapshots when so many steps are done, then look for leaks."""
    taken = [memlens.take_heap_snapshot()] if at_start else []

    def observe(steps_done):
        if steps_done in moments:
            taken.append(memlens.take_heap_snapshot())
        if steps_done == pace.STEPS:
            write_and_exit([one.to_dict() for one in memlens.find_leaks(taken)], output)

    pace.observe(observe)


def profiler(pace, output):
    """Watch with a profiler that was started first, and ask for its report before the end."""
    seconds = pace.SECONDS
    watching = memlens.MemoryProfiler(
        tempfile.mkdtemp(prefix="zoo-"),
        sample_interval=seconds / 45,  # a tenth of the next: else that is rounded to a quarter
        snapshot_interval=seconds / 4.5,
        on_alert=lambda report: None,
        warmup_seconds=seconds / 5,
        min_window_seconds=seconds / 2,
    )

    def observe(steps_done):
        if steps_done == pace.STEPS:
            report = watching.report()
            watching.stop()
            write_and_exit(report.to_dict(), output)

    pace.observe(observe)
    watching.start()


def main():
    form, baseline, program, output = sys.argv[1:]
    sys.argv = [program]
    sys.path[0] = os.path.dirname(program)
    from support import pace

    at_start = baseline == "start"
    if form == "profiler":
        profiler(pace, output)
    else:
        parts = 3 if at_start else 4
        moments = {pace.STEPS * part // parts for part in range(1, parts + 1)}
        if form == "two":
            moments = {pace.STEPS} if at_start else {min(moments), pace.STEPS}
        snapshots(pace, moments, at_start, output)
    runpy.run_path(program, run_name="__main__")
    sys.exit("the program ended before its last step")


if __name__ == "__main__":
    main()

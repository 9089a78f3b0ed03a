"""Worker threads are started for each job and wait for an event that is never set."""

import threading

from support.pace import LEAK, rng, ticks


def work(payload, done):
    done.wait()
    return len(payload)


def main():
    never = threading.Event()
    for i in ticks():
        if i % 2:
            continue
        done = never if LEAK else threading.Event()
        thread = threading.Thread(
            target=work, args=(rng.randbytes(60_000), done), name=f"job-{i}", daemon=True
        )
        thread.start()
        if not LEAK:
            done.set()
            thread.join()


if __name__ == "__main__":
    main()

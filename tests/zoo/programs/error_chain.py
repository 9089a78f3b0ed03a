"""The last error is kept, and each new error has the one before as its context."""

from support.pace import LEAK, rng, ticks


class Supervisor:
    last_error = None

    def run(self, document):
        try:
            raise RuntimeError(f"cannot handle {len(document)} bytes") from self.last_error
        except RuntimeError as error:
            self.last_error = error if LEAK else None


SUPERVISOR = Supervisor()


def main():
    for _ in ticks():
        SUPERVISOR.run(rng.randbytes(15_000))


if __name__ == "__main__":
    main()

"""A module that is imported during the run keeps every report in a global list."""

from support.pace import LEAK, rng, ticks


def report(number):
    from support import late_reports

    rows = [(number, n, rng.random()) for n in range(150)]
    return late_reports.render(number, rows, keep=LEAK)


def main():
    for i in ticks():
        if i >= 60:
            report(i)


if __name__ == "__main__":
    main()

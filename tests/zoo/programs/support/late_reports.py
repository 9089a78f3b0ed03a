"""A module that the program imports only when the first report is asked for."""

RENDERED = []


class Report:
    def __init__(self, number, rows):
        self.number = number
        self.rows = rows


def render(number, rows, keep):
    report = Report(number, rows)
    if keep:
        RENDERED.append(report)
    return len(report.rows)

"""Healthy: features import what they need when they are first used, some in each interval."""

import importlib

from support.pace import STEPS, rng, ticks

FEATURES = (
    "csv json.tool html.parser xml.dom.minidom xml.etree.ElementTree email.mime.text wave"
    " http.cookies http.server smtplib ftplib imaplib poplib zipfile tarfile shelve difflib"
    " decimal fractions statistics plistlib configparser argparse optparse calendar gettext"
).split()


def main():
    loaded = 0
    for i in ticks():
        due = min(len(FEATURES), 1 + len(FEATURES) * i // (STEPS - 20))
        while loaded < due:
            importlib.import_module(FEATURES[loaded])
            loaded += 1
        rng.random()


if __name__ == "__main__":
    main()

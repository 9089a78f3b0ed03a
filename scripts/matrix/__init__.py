"""The modes in which a program must be right under memlens: see __main__.py."""

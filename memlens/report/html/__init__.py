"""The HTML report: one file with a verdict first, then pictures, suspects and tables.

Each module makes one part of the data document from values, `document` puts them together within a
budget, and `page` writes document, style and scripts to one file.
"""

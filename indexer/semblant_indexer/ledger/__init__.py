"""The ledger: for every picture what the job knows of it, so that nothing is lost, done twice or forgotten.

One SQLite file for a collection, with a row for each URI in each generation. A run first notes what its source holds now (the
scan: a temporary table, on disk when it is large), then compares the two in SQL: that takes a second or two for a million
pictures and little memory. Rows are committed after the points they speak of are in the store, so the ledger may know too
little after a crash, and then work is done again to the same result, but never too much.
"""

from .book import Ledger
from .rows import TRANSIENT, Entry, Todo

__all__ = ["TRANSIENT", "Entry", "Ledger", "Todo"]

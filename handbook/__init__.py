"""The contract as a book: a static site made from the specification, the suite and what both have recorded.

It is made at build time (``make docs``) and leans on every other room; no other room leans on it.
"""

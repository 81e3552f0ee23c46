"""The law: what is true about a site's licence, given facts and a time.

Nothing in this package does I/O, reads a clock, awaits or logs. Everything is a frozen value or a pure function, so
that equal inputs give equal output, byte for byte.
"""

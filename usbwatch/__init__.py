"""The USB bus of one node: which keys are plugged in, and what is on them.

The only folder that touches USB devices. It knows how a key is found, read and asked to prove itself; what a
licence is worth it does not know: the judge is passed in.
"""

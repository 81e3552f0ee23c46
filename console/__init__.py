"""The `twinkey` command: what operators and the vendor type.

The only package that may import every other. It turns arguments into calls and answers into text or JSON, and holds no
rule of its own.
"""

"""Benchmarks: `make bench [ONLY=name] [SCALE=small|full]`, or `python -m tests.bench [name] --scale small`.

Every figure stands beside the same figure of two anchors measured in the same call, because ratios
travel between machines and milliseconds do not: `bare`, the least a relay of streams can cost, and
`first`, a Channels consumer as one writes it first.

    load  ──WebSocket──  subject (product, bare or first)  ──HTTP, SSE──  upstream

Load generator, subject and upstream are processes of their own. The subject has a core for itself;
the two measuring processes share another and a run in which they were the limit is marked invalid.
"""

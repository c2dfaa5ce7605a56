"""Benchmarks: our figures beside honest references, driven alike, in the same run.

``naive`` is the reference server everything is measured against, ``load`` drives any SMTP server with real
mail (``corpus``), ``processes`` reads what a process tree cost, ``sites`` starts MaiRust. One module per
figure: ``ingest``, ``jobs``, ``latency``, ``memory``, ``startup``; ``python -m tests.benchmarks`` runs them
all. Every figure is a ratio of medians of interleaved rounds; absolute numbers are printed only for scale.
"""

"""What one can do: one file per noun, operations only.

At run time these files import only `model`, `errors` and `operations`; everything else is injected.
"""

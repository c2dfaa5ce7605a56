"""MaiRust: mail that is kept, and can be proved to be."""

__version__ = "0.1.0"

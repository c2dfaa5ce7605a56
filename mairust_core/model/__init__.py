"""The words of MaiRust: frozen dataclasses and enums without any input or output."""

"""Property tests here are judged by what they find, not by how long a busy machine takes."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("mime", deadline=None, print_blob=True)
settings.load_profile("mime")

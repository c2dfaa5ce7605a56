"""Extensions that go wrong, each in its own way."""

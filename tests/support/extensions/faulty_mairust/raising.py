"""Cannot be imported."""

raise RuntimeError("it needs\na moon")

"""Arguments in, operations called, results rendered: no business rule, no SQL, no HTTP."""

"""One script per migration, named by its revision; once released, a script never changes."""

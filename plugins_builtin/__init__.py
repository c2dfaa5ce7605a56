"""Plugin packages that ship with MaiRust, each with a plugin.toml, like anybody's."""

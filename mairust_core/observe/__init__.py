"""What one can see of a running MaiRust, and how its failures are provoked on purpose."""

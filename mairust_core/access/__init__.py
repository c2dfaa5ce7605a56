"""Who may come in: passwords, and how many wrong tries anybody has (trap A4)."""

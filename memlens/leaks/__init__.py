"""What grows, who holds it, which pattern it is, and what to do."""

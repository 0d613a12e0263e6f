"""What travels to the page: its types, and numbers as bytes."""

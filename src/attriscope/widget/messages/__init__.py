"""What travels to the page: numbers as bytes, and what things are called."""

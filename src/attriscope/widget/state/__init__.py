"""What kernel and page share, what is selected, and what was requested and answered of it."""

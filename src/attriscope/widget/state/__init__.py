"""What kernel and page share: the traits, what is selected, and its checks."""

"""What the Explorer asks of the model; knows no page and no thread."""

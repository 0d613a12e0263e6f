"""The view taken out of the notebook: a figure, a PNG, one HTML file."""

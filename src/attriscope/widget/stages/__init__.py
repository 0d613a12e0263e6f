"""What makes a kind of data visible; knows no model, no page and no thread."""

"""What is explained, and how work is run. Knows no widget, no plot and no method."""

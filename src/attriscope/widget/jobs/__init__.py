"""Work on a thread of its own: the worker, what it does for a selection, and the widget that asks for it."""

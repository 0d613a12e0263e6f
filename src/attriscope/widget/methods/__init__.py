"""Which methods the Explorer offers, their parameters, and how each is called."""

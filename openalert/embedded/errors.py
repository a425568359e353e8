class EmbeddedError(Exception):
    """An embedded server cannot run; the message is a paragraph for the person at the terminal."""

"""The doors where providers tell us things. Each checks a signature first and then makes one call."""

"""People as a CSV file in the admin: written, read, looked at before anything is changed, and taken over as a whole.

`sheet` reads a file, `plan` says what each of its rows would do, `takeover` does it, `export` writes one. See docs/admin.md.
"""

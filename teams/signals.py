"""What happened in the teams app, told inside the transaction, always with a list."""

from django.dispatch import Signal

# notices: list[Notice]. They are sent now.
notices_given = Signal()

# findings: list[teams.coverage.Finding]. The daily look ahead found these.
coverage_found = Signal()

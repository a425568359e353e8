"""Live rooms inside the web process. `docs/live.md` has the protocol, `incidents.rooms` what others call."""

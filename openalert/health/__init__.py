"""How the installation does: read, judged, shown to machines and people, and told when it is not well."""

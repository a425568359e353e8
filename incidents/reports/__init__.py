"""Reports: what happened in a span of time, from what the apps know of it. See docs/reports.md."""

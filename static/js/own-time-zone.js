// The browser's own time zone, in a field that nobody has filled in yet.

for (const select of document.querySelectorAll("select[data-own-time-zone]")) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if ([...select.options].some((option) => option.value === own)) select.value = own;
}

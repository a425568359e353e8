/** The radios [name=theme] with the values system, light and dark. theme.js applies the choice on the next page. */

import { recall, remember } from "./storage.js";

const root = document.documentElement;

function apply(theme) {
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  else delete root.dataset.theme;
  const chosen = root.dataset.theme ?? "system";
  for (const radio of document.querySelectorAll("input[name=theme]")) radio.checked = radio.value === chosen;
  paintBrowserBar();
}

/** The browser's own bar takes the colour of the page's top. */
function paintBrowserBar() {
  const top = document.querySelector(".topbar") ?? root;
  const colour = getComputedStyle(top).backgroundColor;
  for (const meta of document.querySelectorAll("meta[name=theme-color]")) meta.content = colour;
}

export function start() {
  apply(recall("theme"));
  document.addEventListener("change", ({ target }) => {
    if (!target.matches("input[name=theme]")) return;
    remember("theme", target.value === "system" ? null : target.value);
    apply(target.value);
  });
  window.addEventListener("storage", ({ key, newValue }) => {
    if (key === "theme") apply(newValue);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paintBrowserBar);
}

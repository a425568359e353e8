/** In the admin, beside Unfold's own scripts: what its pages lack for keyboards and screen readers, and what the
 * Content-Security-Policy asks for. */

// Otherwise htmx writes a style element into the page, which the policy forbids.
htmx.config.includeIndicatorStyles = false;

// Unfold's icons are words in a font: nobody is to hear them. Where one is all of a control, this is its name.
const NAMES = {
  dock_to_right: "Menu",
  close: "Close",
  search: "Search",
  filter_list: "Filters",
  more_horiz: "More",
  more_vert: "More",
  delete: "Remove",
  add: "Add",
};
const ICON = ".material-symbols-outlined";
const PRESSED = "[x-on\\:click]:not(a[href], button, input, select, textarea, summary, h1, h2, h3)";

function mend() {
  for (const icon of document.querySelectorAll(ICON)) {
    const control = icon.closest("a, button, label, [x-on\\:click]");
    const name = NAMES[icon.textContent.trim()];
    if (control && control.textContent.trim() === icon.textContent.trim()) {
      (control.control ?? control).ariaLabel ??= control.title || name || null; // a label has a control of its own
    }
    if (icon !== control) icon.ariaHidden = "true";
  }
  for (const control of document.querySelectorAll(PRESSED)) {
    control.tabIndex = 0;
    control.role ??= "button";
  }
  for (const heading of document.querySelectorAll(":is(h1, h2, h3)[x-on\\:click]:not(:has(.fold))")) fold(heading);
  // In tables the column's heading stands for the label.
  for (const field of document.querySelectorAll("td[data-label] :is(input:not([type=hidden]), select, textarea)")) {
    if (!field.labels?.length) field.ariaLabel ??= field.closest("[data-label]").dataset.label;
  }
  for (const select of document.querySelectorAll(".select2-hidden-accessible")) {
    const name = select.labels?.[0]?.textContent.replace("*", "").trim() || select.ariaLabel;
    const shown = select.nextElementSibling?.querySelectorAll(".select2-selection__rendered, .select2-search__field");
    for (const part of shown ?? []) part.ariaLabel ??= name;
  }
  for (const help of document.querySelectorAll(".help-tooltip[aria-label]")) help.role ??= "img";
}

/** A heading that opens and closes what follows it stays one: what is in it becomes a button. */
function fold(heading) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "fold";
  button.append(...heading.childNodes);
  heading.append(button);
  const list = heading.nextElementSibling;
  const tell = () => { button.ariaExpanded = String(list?.style.display !== "none"); };
  document.addEventListener("alpine:initialized", tell);
  // Alpine hides it after this click.
  button.addEventListener("click", () => setTimeout(tell));
}

document.addEventListener("keydown", (event) => {
  if ((event.key !== "Enter" && event.key !== " ") || !event.target.matches?.(PRESSED)) return;
  event.preventDefault();
  event.target.click();
});
document.addEventListener("click", (event) => {
  if (event.target.closest?.(".add-row")) setTimeout(mend); // the row is there after this click
});
document.addEventListener("DOMContentLoaded", mend);
// Django's lists to choose from are made then.
window.addEventListener("load", () => setTimeout(mend));

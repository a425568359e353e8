/** In the admin, beside Unfold's own scripts: what its pages lack for keyboards and readers, and what the
 * Content-Security-Policy asks for. */

// Otherwise htmx writes a style element into the page, which the policy forbids.
htmx.config.includeIndicatorStyles = false;

// Unfold's icons are words in a font: nobody is to hear them. Where one is all of a control, this is its name.
const NAMES = {
  dock_to_right: "Menu",
  close: "Close",
  filter_list: "Filters",
  more_horiz: "More",
  chevron_right: "More",
  add: "Add",
};
const ICON = ".material-symbols-outlined";
const CONTROLS = "[x-on\\:click]:not(a[href], button, input, select, textarea, summary, #modal-overlay)";

function mend(root) {
  for (const icon of root.querySelectorAll(ICON)) {
    const control = icon.closest("a, button, [x-on\\:click]");
    if (control && control.textContent.trim() === icon.textContent.trim()) {
      const name = control.title || NAMES[icon.textContent.trim()];
      if (name && !control.ariaLabel) control.ariaLabel = name;
    }
    if (icon !== control) icon.ariaHidden = "true";
  }
  for (const control of root.querySelectorAll(CONTROLS)) {
    if (/^H\d$/.test(control.tagName)) fold(control);
    else press(control);
  }
}

/** What is clicked answers to Enter and the space bar too. */
function press(control) {
  control.tabIndex = 0;
  control.role ??= "button";
  control.addEventListener("keydown", (event) => {
    if (event.target !== control || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    control.click();
  });
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

document.addEventListener("DOMContentLoaded", () => mend(document));

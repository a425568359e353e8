/** <details class="menu">: closes on a choice, on Escape and on a press elsewhere; arrow keys walk the items. */

const openMenus = () => document.querySelectorAll("details.menu[open]");

function closeOthers(target) {
  for (const menu of openMenus()) if (!menu.contains(target)) menu.open = false;
}

function onKey(event) {
  const menu = event.target.closest?.("details.menu[open]");
  if (!menu) return;
  if (event.key === "Escape") {
    menu.open = false;
    menu.querySelector("summary").focus();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const items = [...menu.querySelectorAll(".menu-item")];
    const step = event.key === "ArrowDown" ? 1 : -1;
    const here = items.indexOf(event.target);
    if (here < 0 && event.target.matches("input")) return; // radios have their own use for arrows
    event.preventDefault();
    items.at(here < 0 && step < 0 ? -1 : (here + step) % items.length)?.focus();
  }
}

export function start() {
  document.addEventListener("pointerdown", ({ target }) => closeOthers(target));
  document.addEventListener("focusin", ({ target }) => closeOthers(target));
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", ({ target }) => {
    const item = target.closest(".menu-item");
    if (item) item.closest("details.menu").open = false;
  });
}

/** Walking the rows of a list by keyboard, also while the list is replaced by a newer one.
 *
 * A row is known by the address of its .row-link. When the row that has the focus is replaced, its link in the new list
 * has it; when the row is no longer there, the next step goes on from its place.
 */

const links = () => [...document.querySelectorAll(".row-link")];
const linkOf = (element) => element?.closest(".row-link") ?? element?.closest(".rows > li")?.querySelector(".row-link");

/** What has the focus while something is swapped in: the row's address and its place among all rows. */
let held = null;
/** Where the row stood that had the focus and is gone. */
let gap = null;

function hold() {
  const link = linkOf(document.activeElement);
  held = link ? { href: link.getAttribute("href"), place: links().indexOf(link) } : null;
}

function giveBack() {
  if (!held || document.activeElement !== document.body) return;
  const link = links().find((each) => each.getAttribute("href") === held.href);
  if (link) link.focus({ preventScroll: true });
  else gap = held.place;
  held = null;
}

/** To the next row (1) or the one before (-1); from nowhere, to the first. */
export function step(direction) {
  const all = links();
  const here = all.indexOf(linkOf(document.activeElement));
  let wanted = here + direction;
  // What came after the row that is gone stands in its place now.
  if (here < 0) wanted = gap === null ? 0 : gap - (direction < 0 ? 1 : 0);
  all[Math.min(all.length - 1, Math.max(0, wanted))]?.focus();
}

export function start() {
  document.addEventListener("htmx:beforeSwap", hold);
  document.addEventListener("htmx:afterSwap", giveBack);
  document.addEventListener("focusin", () => {
    gap = null;
  });
}

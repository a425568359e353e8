/** Parts of a page that are fetched once it is there. One that cannot be fetched says so, in the place of what stands for
 * it until then (.skeleton), and can be tried again; what was there before stays as it was. */

const FAILURES = ["htmx:responseError", "htmx:sendError", "htmx:timeout"];

function tell({ detail: { elt } }) {
  const [first, ...others] = elt.querySelectorAll(".skeleton");
  if (!first) return;
  for (const other of others) other.remove();
  const words = document.createElement("p");
  words.className = "load-failed";
  words.setAttribute("role", "status");
  const again = document.createElement("button");
  again.type = "button";
  again.className = "btn btn-sm";
  again.dataset.loadAgain = "";
  again.textContent = "Try again";
  words.append("This could not be loaded.", again);
  first.replaceWith(words);
}

/** Its skeleton again, which the answer replaces, or the next failure. */
function retry({ target }) {
  const button = target.closest("[data-load-again]");
  const part = button?.closest("[hx-get], [hx-post]");
  if (!part) return;
  const skeleton = document.createElement("span");
  skeleton.className = "skeleton";
  button.closest(".load-failed").replaceWith(skeleton);
  const verb = part.hasAttribute("hx-get") ? "get" : "post";
  const swap = part.getAttribute("hx-swap") ?? "innerHTML";
  // A failure comes to `tell`, as an event.
  window.htmx.ajax(verb, part.getAttribute(`hx-${verb}`), { source: part, target: part, swap }).catch(() => {});
}

export function start() {
  for (const failure of FAILURES) document.addEventListener(failure, tell);
  document.addEventListener("click", retry);
}

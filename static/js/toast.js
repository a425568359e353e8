/** Short messages in the corner. The server sends them too: Django's messages, or HX-Trigger: {"toast": {…}}. */

const ICONS = { success: "success", warning: "warning", danger: "error", info: "info" };
const URGENT = new Set(["danger", "critical", "high"]);
const MOST = 4;
const DEFAULT_TIMEOUT_MS = 8000;

/** Show a toast and return its element.
 *
 * tone: info (default), success, warning, danger, or a severity. href: where its title leads.
 * timeout: milliseconds until it goes by itself; 0 keeps it, which is the default for danger and for
 * critical and high severities. It does not go while it is pointed at or holds the focus.
 */
export function toast({ title, body = "", tone = "info", href = "", timeout }) {
  const fragment = document.getElementById("toast-template").content.cloneNode(true);
  const element = fragment.firstElementChild;
  element.dataset.tone = tone;
  if (URGENT.has(tone)) element.setAttribute("role", "alert");

  const use = element.querySelector("use");
  const icon = ICONS[tone] ?? `severity-${tone}`;
  use.setAttribute("href", use.getAttribute("href").replace(/#.*/, `#${icon}`));

  const heading = element.querySelector(".toast-title");
  const target = followable(href);
  if (target) {
    const link = document.createElement("a");
    link.href = target;
    link.textContent = title;
    heading.replaceChildren(link);
  } else {
    heading.textContent = title;
  }
  const text = element.querySelector(".toast-body");
  text.textContent = body;
  text.hidden = !body;

  const region = document.getElementById("toasts");
  region.append(element);
  while (region.childElementCount > MOST) {
    // A page must not be pushed out by small talk.
    (region.querySelector(".toast:not([role=alert])") ?? region.firstElementChild).remove();
  }
  expire(element, timeout ?? (URGENT.has(tone) ? 0 : DEFAULT_TIMEOUT_MS));
  return element;
}

/** The address, when it is one that may be followed: never javascript: and its kind. */
function followable(href) {
  if (!href) return "";
  try {
    const url = new URL(href, location.href);
    return ["http:", "https:"].includes(url.protocol) ? url.href : "";
  } catch {
    return "";
  }
}

function expire(element, timeout) {
  if (!timeout) return;
  const timer = setInterval(() => {
    if (element.matches(":hover, :focus-within") || document.hidden) return;
    element.remove();
    clearInterval(timer);
  }, timeout);
}

export function start() {
  for (const element of document.querySelectorAll("#toasts > [data-timeout]")) {
    expire(element, Number(element.dataset.timeout));
  }
  document.addEventListener("click", ({ target }) => target.closest("[data-toast-close]")?.closest(".toast")?.remove());
  document.addEventListener("toast", ({ detail }) => toast(detail));
}

/** The service worker, without which nothing is there when the network is not; and the button that installs the app.
 *
 * A page that comes out of its keeping has <html data-saved="when">, and says so. [data-install] shows itself where
 * the browser can install the app and has not yet. */

const WORKER = "/service-worker.js";

/** What this page was made of is there when it is opened without a network. The first visit is before the worker. */
async function keepParts() {
  await navigator.serviceWorker.register(WORKER);
  const { active } = await navigator.serviceWorker.ready;
  const parts = performance.getEntriesByType("resource").map((entry) => entry.name);
  active.postMessage({ parts, page: location.href });
}

function tellAge(saved) {
  const at = new Date(saved);
  const isToday = at.toDateString() === new Date().toDateString();
  const words = at.toLocaleString([], { ...(!isToday && { dateStyle: "medium" }), timeStyle: "short" });
  for (const banner of document.querySelectorAll("[data-live-banner=interrupted]")) {
    banner.querySelector("strong").textContent = `No connection. This is how it was at ${words}.`;
    banner.hidden = false;
  }
}

function offerToInstall() {
  let offer = null;
  const show = () => document.querySelectorAll("[data-install]").forEach((each) => { each.hidden = !offer; });
  window.addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    offer = event;
    show();
  });
  window.addEventListener("appinstalled", () => {
    offer = null;
    show();
  });
  document.addEventListener("htmx:load", show);
  document.addEventListener("click", ({ target }) => {
    if (target.closest("[data-install]")) offer?.prompt();
  });
}

export function start() {
  const { saved } = document.documentElement.dataset;
  if (saved) tellAge(saved);
  offerToInstall();
  if (!("serviceWorker" in navigator) || !document.body.dataset.liveUrl || saved) return;
  // After the page itself: it is what somebody waits for.
  const keep = () => keepParts().catch(() => {});
  if (document.readyState === "complete") keep();
  else window.addEventListener("load", keep, { once: true });
}

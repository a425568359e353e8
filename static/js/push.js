/** [data-push-key] asks this browser for a push subscription and hands it to the server, as one of the person's
 * contact methods. The button shows where the browser can do it; a browser that is registered says so. */

import { csrfToken } from "./requests.js";
import { toast } from "./toast.js";

const WORKER = "/service-worker.js";
const can = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

/** “Firefox on Android”, so that people recognise the browser in their list. */
function nameOfBrowser() {
  const brands = navigator.userAgentData?.brands?.map((brand) => brand.brand) ?? [];
  const known = ["Edge", "Opera", "Chrome", "Chromium", "Firefox", "Safari"];
  const brand = known.find((name) => brands.some((given) => given.includes(name)) || navigator.userAgent.includes(name));
  const system = navigator.userAgentData?.platform || navigator.platform || "";
  return [brand ?? "Browser", system].filter(Boolean).join(" on ").slice(0, 80);
}

async function subscription(key) {
  const registration = await navigator.serviceWorker.register(WORKER);
  await navigator.serviceWorker.ready;
  const options = { userVisibleOnly: true, applicationServerKey: key };
  try {
    return await registration.pushManager.subscribe(options);
  } catch (error) {
    // One that was made for another key, before the installation changed it.
    const old = await registration.pushManager.getSubscription();
    if (!old) throw error;
    await old.unsubscribe();
    return registration.pushManager.subscribe(options);
  }
}

async function register(button) {
  if ((await Notification.requestPermission()) !== "granted") {
    toast({ title: "The browser does not allow it", body: "Allow notifications for this site in its settings.", tone: "warning" });
    return;
  }
  const { endpoint, keys } = (await subscription(button.dataset.pushKey)).toJSON();
  const answer = await fetch(button.dataset.pushUrl, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
    body: JSON.stringify({ endpoint, keys, label: nameOfBrowser() }),
  });
  if (!answer.ok) {
    const failure = await answer.json().catch(() => null);
    throw new Error(failure?.errors?.map((error) => error.detail).join(" ") || "The server refused it.");
  }
  toast({ title: "Pages come to this browser now", tone: "success" });
  document.dispatchEvent(new CustomEvent("openalert:changed", { detail: { id: "reach" } }));
}

async function onClick({ target }) {
  const button = target.closest("[data-push-key]");
  if (!button || button.ariaBusy) return;
  button.ariaBusy = "true";
  try {
    await register(button);
  } catch (error) {
    toast({ title: "That did not work", body: error.message, tone: "danger" });
  } finally {
    button.ariaBusy = null;
  }
}

function show(root) {
  for (const button of root.querySelectorAll("[data-push-key]")) button.hidden = false;
}

if (can) {
  document.addEventListener("click", onClick);
  document.addEventListener("htmx:load", ({ target }) => show(target.parentElement ?? target));
  show(document);
}

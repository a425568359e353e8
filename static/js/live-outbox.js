/** Actions that found no server: they wait in this tab, and are sent once, in order, when the connection is back.
 *
 * data-queue="Acknowledge" on a form with hx-post: its requests carry a key, under which the server does them once
 * however often they arrive, so an action whose answer was lost can be sent again.
 */

import { toast } from "./toast.js";

const STORE = "openalert-outbox";
const KEEP_MS = 15 * 60_000;
const AGAIN_MS = 5_000;
// What a proxy says when nobody is behind it.
const NOBODY_THERE = new Set([502, 503, 504]);

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(STORE)) ?? [];
  } catch {
    return [];
  }
}

let waiting = stored();
let isSending = false;
let timer;

function store() {
  try {
    sessionStorage.setItem(STORE, JSON.stringify(waiting));
  } catch {
    // Then they wait as long as this page is open.
  }
  document.dispatchEvent(new CustomEvent("outbox", { detail: { count: waiting.length } }));
}

/** A version 4 UUID, also where the page is no secure context and crypto.randomUUID is missing. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

const queueable = (element) => element.closest?.("form[data-queue]");

function giveKey({ detail }) {
  const form = queueable(detail.elt);
  if (!form || detail.verb !== "post") return;
  detail.headers["Idempotency-Key"] = newKey();
}

/** The request found nobody: keep it instead of telling an error. */
function keep(event) {
  const { elt, requestConfig, xhr } = event.detail;
  const form = queueable(elt);
  const key = requestConfig?.headers?.["Idempotency-Key"];
  if (!form || !key || (event.type === "htmx:responseError" && !NOBODY_THERE.has(xhr.status))) return;
  event.stopPropagation();
  const action = {
    key,
    url: requestConfig.path,
    body: new URLSearchParams(requestConfig.formData).toString(),
    label: form.dataset.queue,
    at: Date.now(),
  };
  const isThere = waiting.some(({ url, body }) => url === action.url && body === action.body);
  if (!isThere) waiting.push(action);
  store();
  form.reset();
  toast({
    title: "No connection to the server",
    body: `“${action.label}” waits in this tab and is sent when the connection is back.`,
    tone: "warning",
  });
  sendSoon();
}

function sendSoon() {
  clearTimeout(timer);
  if (waiting.length) timer = setTimeout(send, AGAIN_MS);
}

/** Send what waits, one after the other. Nothing happens while it is being sent already. */
export async function send() {
  if (isSending || !waiting.length) return;
  isSending = true;
  clearTimeout(timer);
  try {
    while (waiting.length) {
      const [action] = waiting;
      if (Date.now() - action.at > KEEP_MS) {
        toast({ title: `“${action.label}” was not sent`, body: "It has waited for too long.", tone: "danger" });
      } else {
        const answer = await post(action);
        if (!answer) break;
        tell(action, answer);
      }
      waiting.shift();
      store();
    }
  } finally {
    isSending = false;
    sendSoon();
  }
}

/** The server's answer; null when nobody answered, or the sign-in page did. */
async function post({ key, url, body }) {
  const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? document.querySelector("meta[name=csrf-token]")?.content;
  const headers = {
    "Content-Type": "application/x-www-form-urlencoded",
    "HX-Request": "true",
    "Idempotency-Key": key,
    "X-CSRFToken": token ?? "",
  };
  try {
    const answer = await fetch(url, { method: "POST", body, headers, credentials: "same-origin" });
    const isSignIn = answer.redirected && new URL(answer.url).pathname === document.body.dataset.loginUrl;
    return isSignIn || NOBODY_THERE.has(answer.status) ? null : answer;
  } catch {
    return null;
  }
}

async function tell({ label }, answer) {
  const told = JSON.parse(answer.headers.get("HX-Trigger") ?? "{}");
  for (const [name, detail] of Object.entries(told)) {
    if (name !== "close-dialog") document.body.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
  }
  if (answer.ok) {
    if (!told.toast) toast({ title: `${label}: done`, tone: "success" });
    return;
  }
  const { errors = [] } = await answer.json().catch(() => ({}));
  const words = errors.map(({ detail }) => detail).join(" ");
  toast({ title: `“${label}” did not work`, body: words || "The server refused it.", tone: "danger" });
}

export function start() {
  document.addEventListener("htmx:configRequest", giveKey);
  // Before requests.js, which would tell an error.
  for (const name of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) document.addEventListener(name, keep, true);
  window.addEventListener("beforeunload", (event) => waiting.length && !navigator.onLine && event.preventDefault());
  store();
}

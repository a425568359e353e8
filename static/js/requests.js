/** htmx's requests: the CSRF header, the button that waits, and what is said when one fails. */

import { learn } from "./clock.js";
import { toast } from "./toast.js";

const waiting = new WeakMap();

/** The cookie is newer than the page after a sign-in in another tab; the page's own token serves without cookies. */
export function csrfToken() {
  const cookie = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
  return cookie?.[1] ?? document.querySelector("meta[name=csrf-token]")?.content ?? "";
}

/** Nobody pressed anything: a failure is the live connection's to tell, or told in its place (fragments.js). */
function isBackground({ requestConfig }) {
  return ["live-refresh", "load", "revealed", "every"].includes(requestConfig?.triggeringEvent?.type ?? "every");
}

function markBusy({ detail: { elt, xhr, requestConfig } }) {
  const button = requestConfig.triggeringEvent?.submitter ?? (elt.matches("form") ? elt.querySelector("[type=submit]") : elt);
  if (!button?.matches(".btn")) return;
  button.ariaBusy = "true";
  waiting.set(xhr, button);
}

function unmarkBusy({ detail: { xhr } }) {
  waiting.get(xhr)?.removeAttribute("aria-busy");
  const date = xhr.getResponseHeader("Date");
  if (date) learn(date);
}

function errorIn(xhr) {
  try {
    const { errors, correlation_id: id } = JSON.parse(xhr.responseText);
    return { detail: errors.map((error) => error.detail).join(" "), id };
  } catch {
    return { detail: "", id: xhr.getResponseHeader("X-Correlation-ID") ?? "" };
  }
}

function tellError({ detail }) {
  if (isBackground(detail)) return;
  const { xhr } = detail;
  const { detail: text, id } = errorIn(xhr);
  const otherwise = xhr.status >= 500 ? "The server could not do it. Nothing was changed." : "The server refused it.";
  toast({
    title: "That did not work",
    body: `${text || otherwise}${id ? ` (${id})` : ""}`,
    tone: "danger",
  });
}

function tellUnreachable({ detail }) {
  if (isBackground(detail)) return;
  toast({ title: "No connection to the server", body: "Try again in a moment.", tone: "danger" });
}

/** A session that ended answers with the sign-in page: go there instead of swapping it into a corner of this one. */
function goToSignIn(event) {
  const login = document.body.dataset.loginUrl;
  const { responseURL } = event.detail.xhr;
  if (!login || !responseURL || new URL(responseURL).pathname !== login) return;
  event.detail.shouldSwap = false;
  location.reload();
}

/** Forms without htmx leave the page; until then their button turns. */
function onPlainSubmit({ target, submitter, defaultPrevented }) {
  if (defaultPrevented || target.method !== "post" || !submitter?.matches(".btn")) return;
  submitter.ariaBusy = "true";
}

export function start() {
  document.addEventListener("htmx:configRequest", ({ detail }) => {
    if (detail.verb !== "get") detail.headers["X-CSRFToken"] = csrfToken();
  });
  document.addEventListener("htmx:beforeRequest", markBusy);
  document.addEventListener("htmx:afterRequest", unmarkBusy);
  document.addEventListener("htmx:responseError", tellError);
  document.addEventListener("htmx:sendError", tellUnreachable);
  document.addEventListener("htmx:timeout", tellUnreachable);
  document.addEventListener("htmx:beforeSwap", goToSignIn);
  window.addEventListener("submit", onPlainSubmit);
  window.addEventListener("pageshow", ({ persisted }) => {
    if (persisted) for (const button of document.querySelectorAll(".btn[aria-busy]")) button.removeAttribute("aria-busy");
  });
}

/** Keeps open pages true.
 *
 * data-live-rooms="incident:ID team:ID" on any element: rooms to be in while it is on the page.
 * data-live="incident alert.new": the element gets a `live-refresh` event when something of these kinds (or
 * beginning with them, up to a dot) happens; give it hx-trigger="live-refresh".
 * data-live-room="incident:ID" narrows that to events of these rooms.
 * data-live-presence="incident:ID" data-me="USER'S ID": says who else looks at it.
 * [data-live-state] shows the connection; [data-live-banner="signed-out" | "interrupted"] appear when they apply,
 * and [data-live-outbox] in them says how many actions wait.
 */

import { LiveConnection } from "./live-connection.js";
import * as outbox from "./live-outbox.js";
import { toast } from "./toast.js";

// One change is told in several rooms at once: wait for its twins before fetching.
const SETTLE_MS = 60;
const REFRESH_EVERY_MS = 400;
const ASK_AGAIN_MS = 1000;
const BANNER_AFTER_MS = 6000;

const LABELS = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  offline: "Offline",
  "signed-out": "Signed out",
};

const words = (text) => (text ?? "").split(/\s+/).filter(Boolean);

/** Does data-live="incident alert.new" (as `prefixes`) ask for events of this kind? */
export function asksFor(prefixes, kind) {
  return words(prefixes).some((prefix) => kind === prefix || kind.startsWith(`${prefix}.`));
}

/** Elements are remembered by their id: a swap of the outer HTML puts another one in their place. */
const keyOf = (element) => element.id || element;
const elementOf = (key) => (typeof key === "string" ? document.getElementById(key) : key);

class Refresher {
  #last = new Map();
  #timers = new Map();
  #whenVisible = new Set();
  #underWay = new WeakSet();

  /** Send `live-refresh` to the element soon, but not more than once in REFRESH_EVERY_MS. */
  request(key) {
    if (document.hidden) this.#whenVisible.add(key);
    else if (!this.#timers.has(key)) {
      const since = performance.now() - (this.#last.get(key) ?? -Infinity);
      this.#schedule(key, Math.max(SETTLE_MS, REFRESH_EVERY_MS - since));
    }
  }

  catchUp() {
    for (const key of this.#whenVisible) this.request(key);
    this.#whenVisible.clear();
  }

  /** What another asks for is to be its new content: a refresh of the old would come to nothing. */
  began = ({ detail: { elt, target } }) => [elt, target].forEach((each) => each && this.#underWay.add(each));

  ended = ({ detail: { elt, target } }) => [elt, target].forEach((each) => each && this.#underWay.delete(each));

  /** Somebody began to type or opened a menu while the answer was on its way: ask again later. */
  arrived = ({ detail }) => {
    const { elt } = detail;
    if (!elt.matches("[data-live]") || !isInUse(elt)) return;
    detail.shouldSwap = false;
    this.request(keyOf(elt));
  };

  #schedule(key, delay) {
    this.#timers.set(key, setTimeout(() => this.#refresh(key), delay));
  }

  #refresh(key) {
    this.#timers.delete(key);
    const element = elementOf(key);
    if (!element?.isConnected) this.#last.delete(key);
    // The answer on its way may be older than the event.
    else if (this.#underWay.has(element)) this.#schedule(key, REFRESH_EVERY_MS);
    else if (isInUse(element)) this.#schedule(key, ASK_AGAIN_MS);
    else {
      this.#last.set(key, performance.now());
      element.dispatchEvent(new CustomEvent("live-refresh", { bubbles: false }));
    }
  }
}

/** What the mouse or a finger is down on: replaced before it is up, its click would come to nothing. */
let pressed = null;

/** Somebody is typing, pressing or choosing in it, is asked whether they are sure, or waits for the answer to what they
 * did there: new content would take that away. What htmx is told for a button that is gone, nobody hears. */
function isInUse(element) {
  const focused = document.activeElement;
  const typing =
    element.contains(focused) && focused.matches("input:not([type=checkbox], [type=radio]), textarea, select");
  const inUse = "details.menu[open], dialog[open], [data-asking], .btn[aria-busy=true]";
  return typing || (pressed !== null && element.contains(pressed)) || element.querySelector(inUse) !== null;
}

const refresher = new Refresher();

function refreshWhere(matches) {
  for (const element of document.querySelectorAll("[data-live]")) if (matches(element)) refresher.request(keyOf(element));
}

function onEvent({ detail: { room, kind, data } }) {
  if (kind === "toast") showToast(data);
  else if (kind === "presence") showPresence(room, data.people);
  else {
    refreshWhere(
      ({ dataset }) => asksFor(dataset.live, kind) && (!dataset.liveRoom || words(dataset.liveRoom).includes(room)),
    );
  }
}

/** All that is shown of the room may be old, or (with a kind) what asks for such events. */
function onStale({ detail: { room, kind } }) {
  refreshWhere(
    ({ dataset }) =>
      (!kind || asksFor(dataset.live, kind)) && (!dataset.liveRoom || words(dataset.liveRoom).includes(room)),
  );
}

const TOASTED = "openalert-toasted";
const MOST_TOASTED = 50;

/** A page that has just been opened may be told again what the one before it showed. */
function showToast({ title, body, severity, href, notification_id: id }) {
  let shown = [];
  try {
    shown = JSON.parse(sessionStorage.getItem(TOASTED)) ?? [];
    if (id && shown.includes(id)) return;
    sessionStorage.setItem(TOASTED, JSON.stringify([...shown, id].slice(-MOST_TOASTED)));
  } catch {
    // Rather twice than not at all.
  }
  toast({ title, body, tone: severity || "info", href });
}

function showPresence(room, people) {
  for (const element of document.querySelectorAll("[data-live-presence]")) {
    if (element.dataset.livePresence !== room) continue;
    const names = people.filter(({ id }) => id !== element.dataset.me).map(({ name }) => name);
    element.hidden = !names.length;
    const verb = names.length === 1 ? "is" : "are";
    element.textContent = names.length ? `${listed(names)} ${verb} looking at this too.` : "";
  }
}

const listed = (names) => new Intl.ListFormat("en").format(names);

let bannerTimer;

function show(state) {
  for (const indicator of document.querySelectorAll("[data-live-state]")) {
    indicator.dataset.state = state;
    indicator.querySelector("span").textContent = LABELS[state];
  }
  clearTimeout(bannerTimer);
  const wanted = state === "signed-out" ? state : state === "live" ? "" : "interrupted";
  // A reconnection of a few seconds is not worth a banner.
  bannerTimer = setTimeout(() => showBanner(wanted), wanted === "interrupted" ? BANNER_AFTER_MS : 0);
}

function showBanner(wanted) {
  for (const banner of document.querySelectorAll("[data-live-banner]")) banner.hidden = banner.dataset.liveBanner !== wanted;
}

function showWaiting(count) {
  for (const element of document.querySelectorAll("[data-live-outbox]")) {
    element.textContent = count ? `${count} ${count === 1 ? "action waits" : "actions wait"} to be sent.` : "";
  }
}

function start(path) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const connection = new LiveConnection(url, { cursor: document.body.dataset.liveCursor });
  const all = (attribute, name) => [...document.querySelectorAll(`[${attribute}]`)].flatMap((e) => words(e.dataset[name]));
  const syncRooms = () => {
    connection.setRooms(all("data-live-rooms", "liveRooms"));
    // A page in the background is nobody looking.
    connection.lookAt(document.hidden ? [] : all("data-live-presence", "livePresence"));
  };

  connection.addEventListener("event", onEvent);
  connection.addEventListener("stale", onStale);
  connection.addEventListener("state", () => {
    show(connection.state);
    if (connection.state === "live") outbox.send();
  });
  document.addEventListener("htmx:afterSettle", syncRooms);
  // For what is not told by the server.
  document.addEventListener("openalert:changed", ({ detail: { id } }) => refresher.request(id));
  document.addEventListener("htmx:beforeRequest", refresher.began);
  document.addEventListener("htmx:beforeSwap", refresher.arrived);
  document.addEventListener("htmx:afterRequest", refresher.ended);
  document.addEventListener("pointerdown", ({ target }) => (pressed = target), true);
  // Not before the click, which follows.
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => setTimeout(() => (pressed = null)), true);
  document.addEventListener("visibilitychange", () => {
    syncRooms();
    if (document.hidden) return;
    connection.check();
    refresher.catchUp();
  });
  for (const change of ["online", "offline"]) window.addEventListener(change, () => connection.check());
  // An open socket keeps a page out of the back/forward cache.
  window.addEventListener("pagehide", () => connection.close());
  window.addEventListener("pageshow", ({ persisted }) => persisted && connection.open());

  document.addEventListener("outbox", ({ detail: { count } }) => showWaiting(count));
  outbox.start();
  syncRooms();
  show(connection.state);
  connection.open();
}

if (document.body.dataset.liveUrl) start(document.body.dataset.liveUrl);

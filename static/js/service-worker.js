/** Shows the pages that are pushed to this browser, and takes the answers to them (notifications.transports.web_push);
 * and keeps what is shown when nobody answers: the list of incidents as it was seen last, else the page for that.
 *
 * An answer's address is signed and good for once: it needs no session, so a button works on a locked phone. */

const STAYING = new Set(["critical", "high"]);

// Parts are the same for everybody. What was seen is one person's: it goes when they sign out.
const PARTS = "openalert-parts-1";
const SEEN = "openalert-seen-1";
const OFFLINE = "/offline/";
const LIST = "/incidents/";
const SIGN_IN = "/accounts/login/";
const SIGN_OUT = "/accounts/logout/";
const STATIC = "/static/";
const MOST_PARTS = 200;
// A proxy says these of a server that is not there.
const UNREACHABLE = new Set([502, 503, 504]);

self.addEventListener("install", (event) => {
  // Without the page for it the rest works all the same.
  const keep = caches.open(PARTS).then((cache) => cache.add(OFFLINE)).catch(() => {});
  event.waitUntil(keep.then(() => self.skipWaiting()));
});

async function activate() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith("openalert-") && name !== PARTS && name !== SEEN);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.registration.navigationPreload?.enable();
  await self.clients.claim();
}

self.addEventListener("activate", (event) => event.waitUntil(activate()));

const isList = (url) => url.pathname === LIST || url.pathname === "/";

async function keepPart(request, answer) {
  const cache = await caches.open(PARTS);
  await cache.put(request, answer);
  const kept = await cache.keys();
  // The oldest stand first; the first of all is the page for having no connection.
  await Promise.all(kept.slice(1, 1 + Math.max(0, kept.length - MOST_PARTS)).map((each) => cache.delete(each)));
}

async function keepList(answer) {
  const cache = await caches.open(SEEN);
  await cache.put(LIST, answer);
}

/** What is kept of the list, marked with when that was; undefined when nothing is. */
async function savedList() {
  const kept = await caches.match(LIST, { cacheName: SEEN });
  if (!kept) return undefined;
  const at = new Date(kept.headers.get("date") ?? Date.now()).toISOString();
  const text = (await kept.text()).replace("<html ", `<html data-saved="${at}" `);
  const headers = new Headers(kept.headers);
  for (const name of ["content-encoding", "content-length"]) headers.delete(name);
  return new Response(text, { headers });
}

async function instead(url) {
  return (isList(url) ? await savedList() : undefined) ?? (await caches.match(OFFLINE, { cacheName: PARTS }));
}

async function visit(event, url) {
  let answer;
  try {
    answer = (await event.preloadResponse) ?? (await fetch(event.request));
  } catch {
    return (await instead(url)) ?? Response.error();
  }
  if (UNREACHABLE.has(answer.status)) return (await instead(url)) ?? answer;
  if (url.pathname === SIGN_IN) event.waitUntil(caches.delete(SEEN));
  else if (url.pathname === LIST && answer.ok) event.waitUntil(keepList(answer.clone()));
  return answer;
}

/** From the network, so that nothing is ever older than the page that asks for it. */
async function part(event) {
  try {
    const answer = await fetch(event.request);
    if (answer.ok) event.waitUntil(keepPart(event.request, answer.clone()));
    return answer;
  } catch (error) {
    const kept = await caches.match(event.request, { cacheName: PARTS });
    if (kept) return kept;
    throw error;
  }
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (url.origin !== self.location.origin) return;
  if (request.mode === "navigate" && request.method === "GET") event.respondWith(visit(event, url));
  else if (url.pathname === SIGN_OUT) event.waitUntil(caches.delete(SEEN));
  else if (request.method === "GET" && url.pathname.startsWith(STATIC)) event.respondWith(part(event));
});

/** A page tells what it was made of, when the worker was not there yet as it was loaded. */
async function keepAll({ parts, page }) {
  const urls = parts.map((each) => new URL(each)).filter(({ origin, pathname }) => origin === self.location.origin && pathname.startsWith(STATIC));
  for (const url of urls) {
    if (await caches.match(url, { cacheName: PARTS })) continue;
    const answer = await fetch(url);
    if (answer.ok) await keepPart(url, answer);
  }
  if (new URL(page).pathname !== LIST || (await caches.match(LIST, { cacheName: SEEN }))) return;
  const answer = await fetch(page, { redirect: "error" });
  if (answer.ok) await keepList(answer);
}

self.addEventListener("message", (event) => {
  if (event.data?.parts) event.waitUntil(keepAll(event.data).catch(() => {}));
});

function read(event) {
  try {
    return event.data.json();
  } catch {
    return { title: "OpenAlert", body: "There is news.", href: "/" };
  }
}

self.addEventListener("push", (event) => {
  const page = read(event);
  const answers = page.answers ?? {};
  const actions = Object.keys(answers).map((action) => ({ action, title: page.labels?.[action] ?? action }));
  event.waitUntil(
    self.registration.showNotification(page.title, {
      body: page.body,
      tag: page.tag,
      renotify: Boolean(page.tag),
      requireInteraction: STAYING.has(page.severity),
      icon: "/static/img/app-192.png",
      badge: "/static/img/badge-96.png",
      data: { href: page.href, answers, title: page.title },
      actions,
    }),
  );
});

/** Say what became of an answer, in the place of the page. */
async function answer(address, { href, title }, tag) {
  let words = "The server could not be reached: open the incident to answer it.";
  try {
    const given = await fetch(address, { method: "POST", headers: { Accept: "application/json" }, credentials: "omit" });
    words = (await given.json()).answer;
  } catch {
    // The words for it stand above.
  }
  await self.registration.showNotification(words, { body: title, tag, data: { href, answers: {}, title } });
}

async function open(href) {
  const target = new URL(href, self.location.origin);
  if (target.origin !== self.location.origin) return undefined;
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = windows.find((client) => new URL(client.url).pathname === target.pathname);
  return there ? there.focus() : self.clients.openWindow(target.href);
}

self.addEventListener("notificationclick", (event) => {
  const { notification, action } = event;
  notification.close();
  const address = notification.data?.answers?.[action];
  event.waitUntil(address ? answer(address, notification.data, notification.tag) : open(notification.data?.href ?? "/"));
});

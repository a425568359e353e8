/** The WebSocket to the live rooms (docs/live.md), kept up whatever happens to the network.
 *
 * Events: "state" when `state` changed; "event" with a message {room, kind, data} in `detail`; "stale" with
 * {room, kind} in `detail` when what is shown of a room may be old and has to be fetched: all of it, or with a `kind`
 * what that tells of. What was missed while a connection was lost comes as events, in order and each once.
 */

const PROTOCOL = "openalert.v1";
const PING_EVERY_MS = 20_000;
const PONG_WITHIN_MS = 8_000;
const CONNECT_WITHIN_MS = 10_000;
const FIRST_RETRY_MS = 700;
const LONGEST_RETRY_MS = 30_000;
const RENEW_AGAIN_MS = 5_000;
// incidents.live.protocol
const NOT_SIGNED_IN = 4401;
const TOKEN_EXPIRED = 4410;
const COUNTERS = "alert.updated";

/** Milliseconds before the `attempt`-th retry (from 0): doubling, with jitter so that a restarted server is not stormed. */
export function retryDelay(attempt, random = Math.random()) {
  const ceiling = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt);
  return ceiling * (0.5 + random / 2);
}

export class LiveConnection extends EventTarget {
  /** One of connecting, live, reconnecting, offline (the browser has no network), signed-out. */
  state = "connecting";

  #url;
  #token;
  #socket = null;
  #attempt = 0;
  #isWelcome = false;
  #wasRefused = false;
  #wanted = new Set();
  #looked = new Set();
  #joined = new Set();
  #cursors = new Map();
  #pageCursor;
  #wasLive = false;
  #retryTimer;
  #pingTimer;
  #renewTimer;
  #deadline;

  /** `cursor` is where what is shown stands. Without `token` the session's cookie says who it is; else
   * `token(isRenewal)` promises an access token.
   */
  constructor(url, { cursor = null, token = null } = {}) {
    super();
    this.#url = url;
    this.#pageCursor = cursor || null;
    this.#token = token;
  }

  open() {
    if (this.#socket || this.state === "signed-out") return;
    clearTimeout(this.#retryTimer);
    const socket = new WebSocket(this.#url, [PROTOCOL]);
    this.#socket = socket;
    socket.addEventListener("open", () => this.#hello(socket));
    socket.addEventListener("message", ({ data }) => socket === this.#socket && this.#receive(JSON.parse(data)));
    socket.addEventListener("close", ({ code }) => this.#lost(socket, code));
    this.#expectWithin(CONNECT_WITHIN_MS);
  }

  close() {
    const socket = this.#socket;
    this.#drop();
    socket?.close();
    clearTimeout(this.#retryTimer);
  }

  /** Make sure now, instead of at the end of a wait: the network changed, or somebody looks at the page again. */
  check() {
    this.#attempt = 0;
    if (!this.#socket) this.open();
    else if (this.state === "live") this.#ping();
  }

  /** Be in exactly these rooms, besides those that the server joins unasked. */
  setRooms(rooms) {
    const wanted = new Set(rooms);
    for (const room of wanted) {
      if (this.#wanted.has(room) || this.#joined.has(room)) continue;
      if (this.#isWelcome) this.#send({ type: "subscribe", room });
      else this.#cursors.set(room, this.#cursors.get(room) ?? null);
    }
    for (const room of this.#wanted) {
      if (wanted.has(room)) continue;
      this.#cursors.delete(room);
      if (this.#isWelcome) this.#send({ type: "unsubscribe", room });
    }
    this.#wanted = wanted;
  }

  /** Be seen to look at exactly these incidents' rooms, which have to be among those of setRooms. */
  lookAt(rooms) {
    const looked = new Set(rooms);
    for (const room of new Set([...looked, ...this.#looked])) {
      if (looked.has(room) !== this.#looked.has(room)) this.#sayPresence(room, looked.has(room));
    }
    this.#looked = looked;
  }

  #sayPresence(room, here) {
    if (this.#isWelcome && this.#joined.has(room)) this.#send({ type: "presence", room, here });
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  async #hello(socket) {
    const token = this.#token ? await this.#token(false).catch(() => null) : undefined;
    if (socket !== this.#socket) return;
    if (token === null) socket.close();
    else this.#send({ type: "hello", rooms: Object.fromEntries(this.#cursors), cursor: this.#pageCursor, token });
  }

  #receive(message) {
    clearTimeout(this.#deadline); // whatever it says, the other side is alive
    const { type, room, cursor } = message;
    switch (type) {
      case "event":
        if (cursor) this.#cursors.set(room, cursor);
        this.dispatchEvent(new CustomEvent("event", { detail: message }));
        break;
      case "welcome":
        this.#welcomed(message);
        break;
      case "subscribed":
        this.#cursors.set(room, cursor);
        this.#joined.add(room);
        if (this.#looked.has(room)) this.#sayPresence(room, true);
        // Between the page's making and now something may have happened.
        this.#tellStale(room);
        break;
      case "reset":
        this.#cursors.set(room, cursor);
        this.#tellStale(room);
        break;
      case "dropped":
        this.#tellStale(room, message.kind);
        break;
      case "unsubscribed":
        this.#joined.delete(room);
        if (!this.#wanted.has(room)) this.#cursors.delete(room);
        break;
      case "pong":
        if (cursor) for (const known of this.#joined) this.#cursors.set(known, cursor);
        break;
      case "resync":
        // We read too slowly, and were taken out of all rooms: go on from where we are.
        this.#isWelcome = false;
        this.#hello(this.#socket);
        break;
      case "token_expires":
        this.#renew(this.#socket);
        break;
      case "error":
        if (message.code === "no_such_room") this.#cursors.delete(room);
        break;
    }
  }

  #welcomed({ rooms, cursor }) {
    this.#attempt = 0;
    this.#isWelcome = true;
    this.#wasRefused = false;
    this.#joined = new Set(rooms);
    const known = new Map(this.#cursors);
    for (const room of rooms) this.#cursors.set(room, cursor);
    // Asked for while the hello was on its way.
    for (const room of this.#wanted) if (!known.has(room) && !this.#joined.has(room)) this.#send({ type: "subscribe", room });
    for (const room of this.#looked) this.#sayPresence(room, true);
    clearInterval(this.#pingTimer);
    this.#pingTimer = setInterval(() => this.#ping(), PING_EVERY_MS);
    this.#become("live");
    // A room without a cursor is new to us. The others were caught up on, but for counters, which are not kept.
    for (const room of rooms) {
      if (!(known.get(room) ?? this.#pageCursor)) this.#tellStale(room);
      else if (this.#wasLive) this.#tellStale(room, COUNTERS);
    }
    // From now on each room has a cursor of its own. One that is joined later is newer than the page.
    this.#pageCursor = null;
    this.#wasLive = true;
  }

  #tellStale(room, kind) {
    this.dispatchEvent(new CustomEvent("stale", { detail: { room, kind } }));
  }

  #ping() {
    this.#send({ type: "ping" });
    this.#expectWithin(PONG_WITHIN_MS);
  }

  async #renew(socket) {
    clearTimeout(this.#renewTimer);
    if (!this.#token || socket !== this.#socket) return;
    const token = await this.#token(true).catch(() => null);
    if (socket !== this.#socket) return;
    if (token) this.#send({ type: "authenticate", token });
    else this.#renewTimer = setTimeout(() => this.#renew(socket), RENEW_AGAIN_MS);
  }

  /** A network that is simply gone closes nothing: without a word in time, take the connection for lost. */
  #expectWithin(milliseconds) {
    clearTimeout(this.#deadline);
    const socket = this.#socket;
    this.#deadline = setTimeout(() => {
      socket?.close();
      this.#lost(socket);
    }, milliseconds);
  }

  #lost(socket, code) {
    if (socket !== this.#socket) return;
    this.#drop();
    const isRefused = code === NOT_SIGNED_IN || code === TOKEN_EXPIRED;
    // A new password, or a sign-in in another tab, gave the browser another session: try once before giving up.
    if (isRefused && this.#wasRefused) {
      this.#become("signed-out");
      return;
    }
    this.#wasRefused = isRefused;
    if (isRefused) {
      this.open();
      return;
    }
    this.#become(navigator.onLine ? "reconnecting" : "offline");
    this.#retryTimer = setTimeout(() => this.open(), retryDelay(this.#attempt++));
  }

  #drop() {
    this.#socket = null;
    this.#isWelcome = false;
    clearInterval(this.#pingTimer);
    clearTimeout(this.#deadline);
    clearTimeout(this.#renewTimer);
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

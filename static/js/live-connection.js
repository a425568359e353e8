/** The WebSocket to the live rooms, kept up whatever happens to the network.
 *
 * Events: "state" when `state` changed, "event" with a message {room, kind, data} in `detail`, "resumed" after a
 * connection that followed a lost one: what was missed in between has to be fetched.
 */

const PING_EVERY_MS = 20_000;
const PONG_WITHIN_MS = 8_000;
const CONNECT_WITHIN_MS = 10_000;
const FIRST_RETRY_MS = 700;
const LONGEST_RETRY_MS = 30_000;
const NOT_SIGNED_IN = 4401; // incidents.consumers.NOT_SIGNED_IN

/** Milliseconds before the `attempt`-th retry (from 0): doubling, with jitter so that a restarted server is not stormed. */
export function retryDelay(attempt, random = Math.random()) {
  const ceiling = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt);
  return ceiling * (0.5 + random / 2);
}

export class LiveConnection extends EventTarget {
  /** One of connecting, live, reconnecting, offline (the browser has no network), signed-out. */
  state = "connecting";

  #url;
  #socket = null;
  #attempt = 0;
  #wasLive = false;
  #wanted = new Set();
  #joinedUnasked = new Set();
  #retryTimer;
  #pingTimer;
  #deadline;

  constructor(url) {
    super();
    this.#url = url;
  }

  open() {
    if (this.#socket || this.state === "signed-out") return;
    clearTimeout(this.#retryTimer);
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#receive(JSON.parse(data)));
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
    for (const room of wanted) if (!this.#wanted.has(room)) this.#ask("subscribe", room);
    for (const room of this.#wanted) if (!wanted.has(room)) this.#ask("unsubscribe", room);
    this.#wanted = wanted;
  }

  #ask(type, room) {
    if (this.state === "live" && !this.#joinedUnasked.has(room)) this.#send({ type, room });
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #receive(message) {
    clearTimeout(this.#deadline); // whatever it says, the other side is alive
    if (message.type === "event") this.dispatchEvent(new CustomEvent("event", { detail: message }));
    else if (message.type === "welcome") this.#welcomed(message.rooms);
  }

  #welcomed(rooms) {
    this.#attempt = 0;
    this.#joinedUnasked = new Set(rooms);
    this.#become("live");
    for (const room of this.#wanted) this.#ask("subscribe", room);
    clearInterval(this.#pingTimer);
    this.#pingTimer = setInterval(() => this.#ping(), PING_EVERY_MS);
    if (this.#wasLive) this.dispatchEvent(new Event("resumed"));
    this.#wasLive = true;
  }

  #ping() {
    this.#send({ type: "ping" });
    this.#expectWithin(PONG_WITHIN_MS);
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
    if (code === NOT_SIGNED_IN) {
      this.#become("signed-out");
      return;
    }
    this.#become(navigator.onLine ? "reconnecting" : "offline");
    this.#retryTimer = setTimeout(() => this.open(), retryDelay(this.#attempt++));
  }

  #drop() {
    this.#socket = null;
    clearInterval(this.#pingTimer);
    clearTimeout(this.#deadline);
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

/** Socket.IO with its Redis adapter, as its documentation has it: `join` puts a client into a room.
 *
 * With EMIT=1 it is the process that events come from: lines {"room", "event"} on stdin are sent to their rooms, and
 * `number begun done` (Unix times) is written once that was asked for; before the first, it has sent some to a room that
 * nobody is in. The others serve clients on PORT.
 */

import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const publisher = createClient({ socket: { path: process.env.REDIS_SOCKET } });
const subscriber = publisher.duplicate();
await Promise.all([publisher.connect(), subscriber.connect()]);

// GET /memory: what is in use once all garbage is gone, in bytes.
const http = createServer((request, response) => {
  if (request.url === "/memory") {
    globalThis.gc();
    const { heapUsed, external } = process.memoryUsage();
    response.end(String(heapUsed + external));
  }
});
const io = new Server(http, { transports: ["websocket"], adapter: createAdapter(publisher, subscriber) });
// As its documentation advises for memory: nothing of ours looks at the first request again.
io.engine.on("connection", (socket) => {
  socket.request = null;
});
io.on("connection", (socket) => {
  socket.on("join", (room) => {
    socket.join(room);
    socket.emit("joined", room);
  });
});

const now = () => (performance.timeOrigin + performance.now()) / 1000;

const WARM_EVENTS = 20;

if (process.env.EMIT) {
  for (let number = 0; number < WARM_EVENTS; number++) io.to("nobody").emit("event", {});
  for await (const line of createInterface({ input: process.stdin })) {
    const { room, event } = JSON.parse(line);
    const begun = now();
    io.to(room).emit("event", event);
    process.stdout.write(`${event.n} ${begun} ${now()}\n`);
  }
  await Promise.all([publisher.close(), subscriber.close()]); // what was asked for is sent before
  process.exit();
} else {
  http.listen(Number(process.env.PORT), "127.0.0.1");
}

// Sends a trigger, an acknowledgement and a resolve by PagerDuty's own client; prints what it was answered.
const { event } = require("@pagerduty/pdjs");

const [server, routing_key] = process.argv.slice(2);

async function main() {
  const payload = { summary: "Checkout is slow", source: "web-1", severity: "critical" };
  const answers = [];
  for (const event_action of ["trigger", "acknowledge", "resolve"]) {
    const data = { routing_key, event_action, dedup_key: "checkout", payload };
    const answer = await event({ server, data });
    answers.push([answer.response.status, answer.data]);
  }
  console.log(JSON.stringify(answers));
}

main();

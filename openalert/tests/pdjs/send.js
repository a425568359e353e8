// Sends a trigger, an acknowledgement, a resolve and a change by PagerDuty's own client; prints what it was answered.
const { change, event } = require("@pagerduty/pdjs");

const [server, routing_key] = process.argv.slice(2);

async function main() {
  const payload = { summary: "Checkout is slow", source: "web-1", severity: "critical" };
  const answers = [];
  for (const event_action of ["trigger", "acknowledge", "resolve"]) {
    const data = { routing_key, event_action, dedup_key: "checkout", payload };
    const answer = await event({ server, data });
    answers.push([answer.response.status, answer.data]);
  }
  const data = {
    routing_key,
    payload: { summary: "Deployed build 2", source: "ci", timestamp: new Date().toISOString(), custom_details: { build: 2 } },
    links: [{ href: "https://ci.example.com/build/2", text: "The build" }],
  };
  const answer = await change({ server, data });
  answers.push([answer.response.status, answer.data]);
  console.log(JSON.stringify(answers));
}

main();

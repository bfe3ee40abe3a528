// The signing side of standardwebhooks before the sandbox's webhooks: prints what happened as one
// line of JSON.
import { Webhook } from "standardwebhooks";

const { DISPATCHER_SANDBOX_HOOKS: hooks, DISPATCHER_SANDBOX_CONTROL: control } = process.env;
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const body = JSON.stringify({ specversion: "1.0", id: "e-1", type: "dispatcher.deployed", data: { app: "shøp" } });

const order = async (body) => {
    const answer = await fetch(`${control}/hooks`, { method: "POST", body: JSON.stringify(body) });
    if (answer.status !== 204) throw new Error(`${answer.status} ${await answer.text()}`);
};
const send = async (name, headers, text = body, options = {}) => {
    const answer = await fetch(`${hooks}/${name}`, { method: "POST", body: text, headers, ...options });
    return [answer.status, await answer.text(), answer.headers.get("retry-after")];
};
const signed = ({ id = "e-1", at = new Date(), by = new Webhook(secret), text = body } = {}) => ({
    "Content-Type": "application/cloudevents+json",
    "webhook-id": id,
    "webhook-timestamp": `${Math.floor(at.getTime() / 1000)}`,
    "webhook-signature": by.sign(id, at, text),
});
const minutes = (n) => new Date(Date.now() + n * 60000);

await send("open", { "X-Any": "thing" });
await order({ name: "ci", secret });
const out = { answer: await send("ci", signed()) };
const both = signed();
both["webhook-signature"] = `v1,AAAA v2,x ${both["webhook-signature"]}`;
await send("ci", both);
await send("ci", signed(), `${body} `);
await send("ci", signed({ by: new Webhook("whsec_AAAAr8GKYqrTwjUPD8ILPZIo2LaLaSwA") }));
await send("ci", { ...signed(), "webhook-id": "e-2" });
await send("ci", { ...signed(), "webhook-timestamp": "soon" });
await send("ci", {});
await send("ci", signed({ at: minutes(-6) }));
await send("ci", signed({ at: minutes(6) }));
await order({ name: "raw", secret: "not base64 at all" });
await send("raw", signed({ by: new Webhook("not base64 at all", { format: "raw" }) }));
await send("raw", {}, new Uint8Array([0xff, 0]));

await order({ name: "ci", status: 429, retry_after: 7, count: 1 });
out.limited = [await send("ci", signed()), await send("ci", signed())];
await order({ name: "ci", status: 200, body: '{"error":"no"}' });
out.quiet = await send("ci", signed());
await order({ name: "ci", status: 204 });
out.empty = await send("ci", signed());
await order({ name: "ci", hang: "30s", count: 1 });
out.hang = await send("ci", signed(), body, { signal: AbortSignal.timeout(300) }).catch((err) => err.name);
await order({ name: "ci", hang: 50, count: "all" });
const began = Date.now();
out.slow = [await send("ci", signed()), Date.now() - began >= 50];

const inbox = (await (await fetch(`${control}/inbox`)).json()).hooks;
out.valid = inbox.deliveries.map(({ name, valid, why }) => [name, valid ?? null, why ?? null]);
const { headers, method, target, json, status } = inbox.deliveries[1];
out.kept = [method, target, status, json.data.app, inbox.deliveries[1].body === body, headers["webhook-id"]];
out.bytes = [inbox.deliveries[11].body ?? null, inbox.deliveries[11].body_base64];
out.refused = inbox.refused;
out.requests = inbox.requests;
console.log(JSON.stringify(out));

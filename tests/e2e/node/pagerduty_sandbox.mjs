// @pagerduty/pdjs before the sandbox's PagerDuty: prints what happened as one line of JSON. It
// always speaks https, so a TLS front with the certificate of the arguments (key, certificate)
// stands before the sandbox; the client's `server` names it, path and all.
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import pdjs from "@pagerduty/pdjs";

const { PAGERDUTY_EVENTS_URL: origin, PAGERDUTY_ROUTING_KEY: key, DISPATCHER_SANDBOX_CONTROL: control } = process.env;
const [keyFile, certificateFile] = process.argv.slice(2);
const front = https.createServer({ key: readFileSync(keyFile), cert: readFileSync(certificateFile) }, (request, response) => {
    const { method, headers, url } = request;
    const onward = http.request(new URL(url, origin), { method, headers }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
    });
    request.pipe(onward);
});
await new Promise((done) => front.listen(0, "127.0.0.1", done));
const server = `localhost:${front.address().port}/pagerduty`;

const order = async (body) => {
    const answer = await fetch(`${control}/pagerduty`, { method: "POST", body: JSON.stringify(body) });
    if (answer.status !== 204) throw new Error(`${answer.status} ${await answer.text()}`);
};
const said = ({ status, data }) => [status, data.status, data.message, data.dedup_key ?? data.errors];
const send = (method, data) => pdjs[method]({ server, retryTimeout: 1, data: { routing_key: key, ...data } }).then(said);
const payload = { summary: "failed", source: "dispatcher", severity: "critical" };
const flaws = async (data, type = "event") => {
    const [status, word, message, errors] = await send(type, data);
    return status === 400 && word === "invalid event" && message === "Event object is invalid" ? errors : [status, word];
};
const trigger = (more) => flaws({ event_action: "trigger", payload: { ...payload, ...more } });

const out = {
    trigger: await send("trigger", { dedup_key: "shop/production", payload, client: "dispatcher", client_url: "https://example.org",
        images: [{ src: "https://example.org/i.png" }], links: [{ href: "https://example.org", text: "run" }] }),
    again: await send("trigger", { dedup_key: "shop/production", payload: { ...payload, summary: "failed again" } }),
    acknowledge: await send("acknowledge", { dedup_key: "shop/production" }),
    resolve: await send("resolve", { dedup_key: "shop/production" }),
    late: await send("resolve", { dedup_key: "shop/production" }),
    anew: await send("trigger", { dedup_key: "shop/production", payload }),
    change: await send("change", { payload: { summary: "deployed", source: "dispatcher", timestamp: "2026-11-21T07:48:00Z",
        custom_details: { version: "v2" } }, links: [{ href: "https://example.org/run" }] }),
};
const [status, , , own] = await send("trigger", { payload });
out.own_key = [status, /^[0-9a-f]{32}$/.test(own)];
out.refused = {
    empty: await flaws({ routing_key: undefined }),
    blank: await flaws({ routing_key: "", event_action: "resolve", dedup_key: "x" }),
    short: await flaws({ routing_key: "abc", event_action: "resolve", dedup_key: "x" }),
    unknown: await flaws({ routing_key: "0".repeat(32), event_action: "resolve", dedup_key: "x" }),
    ruleset: await flaws({ routing_key: `R${"0".repeat(31)}`, payload: { summary: "x" } }, "change"),
    action: await flaws({ event_action: "explode", payload }),
    no_dedup: await flaws({ event_action: "resolve" }),
    long_dedup: await flaws({ event_action: "resolve", dedup_key: "x".repeat(256) }),
    no_payload: await flaws({ event_action: "trigger" }),
    nothing: await trigger({ summary: "", source: undefined, severity: undefined }),
    long: await trigger({ summary: "é".repeat(1025) }),
    most: await trigger({ summary: "é".repeat(1024) }),
    severity: await trigger({ severity: "bad" }),
    timestamp: await trigger({ timestamp: "yesterday" }),
    details: await trigger({ custom_details: "text" }),
    links: await flaws({ event_action: "trigger", payload, links: [{ href: "javascript:alert(1)" }], images: [{ src: "http://example.org/i.png" }] }),
    lists: await flaws({ event_action: "trigger", payload, links: {}, images: "x" }),
    change: await flaws({ payload: { source: 5 } }, "change"),
    large: await flaws({ event_action: "trigger", payload: { ...payload, custom_details: { x: "y".repeat(512 * 1024) } } }),
};
await order({ keys: ["1".repeat(32)] });
out.other_key = [await send("resolve", { routing_key: "1".repeat(32), dedup_key: "shop/production" })].map(([status]) => status);
await order({ key: "revoked" });
out.revoked = await flaws({ event_action: "resolve", dedup_key: "x" });
await order({ key: "good", fail: { what: "change", count: 1, status: 500, error: "oops" } });
out.failing = [await send("resolve", { dedup_key: "x" }), await send("change", { payload: { summary: "x" } }),
    await send("change", { payload: { summary: "x" } })].map(([status, word]) => [status, word]);
const { pagerduty } = await (await fetch(`${control}/inbox`)).json();
out.alerts = pagerduty.alerts.map(({ dedup_key, status, triggers, acknowledges, resolves, events }) =>
    [/^[0-9a-f]{32}$/.test(dedup_key) ? "own" : dedup_key, status, triggers, acknowledges, resolves,
        events.map(({ event_action }) => event_action).join(" ")]);
out.changes = pagerduty.changes.map(({ payload }) => payload.summary);
out.dropped = pagerduty.dropped.map(({ dedup_key, event_action }) => [dedup_key, event_action]);
out.keeps_no_key = !JSON.stringify(pagerduty).includes(key);
out.counts = [pagerduty.requests, pagerduty.refused];

await fetch(`${control}/reset?what=pagerduty`, { method: "POST" });
const resolve = () => fetch(`${origin}/v2/enqueue`, { method: "POST", body: JSON.stringify({ routing_key: key, event_action: "resolve", dedup_key: "x" }) });
const statuses = [];
for (let i = 0; i < 122; i++) statuses.push((await resolve()).status);
out.minute = [statuses.filter((one) => one === 202).length, statuses.slice(120)];
out.throttled = await send("resolve", { dedup_key: "x" }); // with three repetitions, all in vain
await order({ rate: null });
out.free = (await resolve()).status;
console.log(JSON.stringify(out));
front.close();
front.closeAllConnections();

// The sandbox's webhooks before Octokit's verifier and GitHub's published payload schemas: listens,
// has the sandbox send, prints what came as one line of JSON.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { verify } from "@octokit/webhooks-methods";
import Ajv from "ajv";
import addFormats from "ajv-formats";
import { App } from "octokit";

const { GITHUB_API_URL: api, DISPATCHER_SANDBOX_CONTROL: control } = process.env;
const secret = readFileSync(process.env.DISPATCHER_SANDBOX_WEBHOOK_SECRET_FILE, "utf8").trim();
const require = createRequire(import.meta.url);

const ajv = new Ajv({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addSchema(require("@octokit/webhooks-schemas/schema.json"), "github");
// The definition of that event alone: the schema as a whole takes any event for any other.
const flawsOf = (event, payload) => {
    const name = `${event}$${payload.action ?? "event"}`;
    const isValid = ajv.getSchema(`github#/definitions/${name}`);
    if (!isValid) return [`${name} is no event of GitHub's`];
    return isValid(payload) ? [] : isValid.errors.map((e) => `${name} ${e.instancePath} ${e.message} ${JSON.stringify(e.params)}`);
};

// Compiled before anything comes: that takes longer than a webhook waits for its answer.
for (const name of ["ping$event", "push$event", ...["requested", "in_progress", "completed"].map((a) => `workflow_run$${a}`), ...["queued", "in_progress", "completed"].map((a) => `workflow_job$${a}`)]) {
    ajv.getSchema(`github#/definitions/${name}`);
}

const got = [];
const flaws = [];
let answer = 202;
let wake = () => {};

const receive = async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString("utf8");
    const payload = JSON.parse(text);
    const event = request.headers["x-github-event"];
    const delivery = {
        event,
        action: payload.action ?? null,
        guid: request.headers["x-github-delivery"],
        signed: await verify(secret, text, request.headers["x-hub-signature-256"] ?? ""),
        hook: request.headers["x-github-hook-id"],
        target: `${request.headers["x-github-hook-installation-target-type"]} ${request.headers["x-github-hook-installation-target-id"]}`,
        agent: request.headers["user-agent"].split("/")[0],
        payload,
    };
    flaws.push(...flawsOf(event, payload));
    got.push(delivery);
    response.writeHead(answer, { "Content-Type": "text/plain" }).end("noted");
    wake();
};
const server = createServer(receive);
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${server.address().port}/hooks/github`;

const order = async (path, body) => {
    const reply = await fetch(`${control}${path}`, { method: "POST", body: JSON.stringify(body) });
    if (!reply.ok) throw new Error(`${path}: ${reply.status} ${await reply.text()}`);
    return reply.status === 204 ? null : reply.json();
};
const state = async () => (await fetch(`${control}/github/hooks`)).json();
const until = async (test) => {
    const end = Date.now() + 15000;
    while (!test()) {
        if (Date.now() > end) throw new Error(`only got ${JSON.stringify(got.map((d) => `${d.event}.${d.action}`))}`);
        await new Promise((resolve) => {
            wake = resolve;
            setTimeout(resolve, 100);
        });
    }
};
const names = () => got.map((d) => (d.action ? `${d.event}.${d.action}` : d.event)).sort();

const app = new App({
    appId: process.env.DEPLOYMENT_APP_ID,
    privateKey: readFileSync(process.env.DEPLOYMENT_APP_KEY, "utf8"),
    Octokit: (await import("octokit")).Octokit.defaults({ baseUrl: api, throttle: { enabled: false }, retry: { enabled: false } }),
});
const out = {};

// ping, and a run from end to end
await order("/github/hooks", { url });
await until(() => got.length >= 1);
const repo = { owner: "acme", repo: "infra" };
const user = new (await import("octokit")).Octokit({ baseUrl: api, auth: process.env.GITHUB_TOKEN });
await user.request("POST /repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches", {
    ...repo,
    workflow_id: "deploy.yaml",
    ref: "main",
    inputs: { app: "x" },
});
await until(() => names().includes("workflow_run.completed"));
await order("/github/push", { repository: "acme/infra", commits: [{ id: "c".repeat(40), message: "spec", modified: ["appspecs/x.yaml"] }], after: "c".repeat(40) });
await until(() => names().includes("push"));
out.events = names();
out.signed = got.every((d) => d.signed);
out.heads = [...new Set(got.map((d) => `${d.hook} ${d.target} ${d.agent}`))];
const push = got.find((d) => d.event === "push").payload;
out.push = [push.ref, push.after, push.commits[0].modified, push.installation.id];
const completed = got.find((d) => d.event === "workflow_run" && d.action === "completed").payload;
out.completed = [completed.workflow_run.status, completed.workflow_run.conclusion, completed.repository.full_name];

// what fails is listed, and comes again with the same id
answer = 503;
const before = got.length;
await order("/github/push", { repository: "acme/infra" });
await until(() => got.length > before);
const failed = got.at(-1).guid;
answer = 202;
const list = async (query) => {
    const { data } = await app.octokit.request("GET /app/hook/deliveries", query);
    return data;
};
let items = [];
for (let i = 0; i < 50 && items.length === 0; i++) {
    items = await list({ status: "failure", per_page: 5 });
    await new Promise((resolve) => setTimeout(resolve, 50));
}
out.failures = items.map((d) => [d.event, d.status, d.status_code, d.redelivery, d.guid === failed]);
await app.octokit.request("POST /app/hook/deliveries/{delivery_id}/attempts", { delivery_id: items[0].id });
await until(() => got.length > before + 1);
out.again = [got.at(-1).guid === failed, got.at(-1).signed];
const one = (await app.octokit.request("GET /app/hook/deliveries/{delivery_id}", { delivery_id: items[0].id })).data;
out.one = [one.request.headers["X-GitHub-Delivery"] === failed, one.request.payload.ref, one.response.payload];

// pages
const all = [];
let link = "GET /app/hook/deliveries?per_page=3";
while (link) {
    const reply = await app.octokit.request(link);
    all.push(...reply.data.map((d) => d.id));
    const next = /<([^>]+)>; rel="next"/.exec(reply.headers.link ?? "");
    link = next ? `GET ${next[1]}` : null;
}
const counts = await state();
out.pages = [all.length === counts.sent + counts.lost, all.every((id, i) => i === 0 || id < all[i - 1])];

// losses, doubles and disorder from a seed
const chaos = async () => {
    got.length = 0;
    await order("/reset?what=github", {});
    await order("/github/hooks/faults", { lose: 0.3, vanish: 0.1, double: 0.2, shuffle_ms: 300, seed: 7 });
    for (let i = 0; i < 40; i++) await order("/github/push", { repository: "acme/infra", after: i.toString(16).padStart(40, "0"), before: "f".repeat(40) });
    const end = Date.now() + 10000;
    let counts = await state();
    while (counts.open > 0 && Date.now() < end) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        counts = await state();
    }
    return [counts, got.map((d) => parseInt(d.payload.after, 16))];
};
const [counted, first] = await chaos();
const [, second] = await chaos();
out.chaos = [counted.events, counted.lost > 0, counted.vanished > 0, counted.doubled > 0, counted.sent === counted.events - counted.lost - counted.vanished + counted.doubled];
const sorted = (list) => [...list].sort((a, b) => a - b);
out.same_fate = JSON.stringify(sorted(first)) === JSON.stringify(sorted(second));
out.disorder = JSON.stringify(first) !== JSON.stringify(sorted(first));
out.lost_listed = (await list({ status: "failure", per_page: 100 })).every((d) => d.status === "timed out" && d.status_code === 504);
out.flaws = flaws;
const { sender, ...short } = completed;
out.judge = [sender.login, flawsOf("workflow_run", short).length, flawsOf("push", { ...push, ref: 1 }).length];
console.log(JSON.stringify(out));
server.close();
server.closeAllConnections();

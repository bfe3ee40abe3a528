// usage: notice_requests.mjs URL DIRECTORY (github | pagerduty): the bodies below DIRECTORY as requests
// to a server that validates them against the vendor's own OpenAPI description (Prism). What dispatcher
// puts around a body before it sends it (dispatcher/github, dispatcher/notify) is put around it here.
// Prints "KIND STATUS", counted; exits 1 at the first that is refused, or taken though it is broken.
import { readdirSync, readFileSync } from "node:fs";

const [server, directory, vendor] = process.argv.slice(2);
const repository = `${server}/repos/octo/shop`;
const key = { routing_key: "0123456789abcdef0123456789abcdef" };
const counts = {};

const requests = {
    github: {
        "github-deployment": [
            (body) => [`${repository}/deployments`, { ref: body.ref, task: body.task,
                environment: body.environment, description: body.description, auto_merge: false,
                required_contexts: [], payload: { id: body.payload_id, app: body.app },
                production_environment: body.is_production, transient_environment: false }, "ref"],
            (body) => [`${repository}/deployments/1/statuses`, body.state, "state"],
        ],
        "github-status": [({ sha, ...rest }) => [`${repository}/statuses/${sha}`, rest, "state"]],
        "github-check": [(body) => [`${repository}/check-runs`, body, "head_sha"]],
        "github-comment": [({ body }) => [`${repository}/issues/1/comments`, { body }, "body"]],
    },
    pagerduty: {
        "pagerduty-change": [(body) => [`${server}/change/enqueue`, { ...key, ...body }, "payload"]],
        "pagerduty-alert": [(body) => [`${server}/enqueue`, { ...key, ...body }, "event_action"]],
    },
}[vendor];

async function send(url, body) {
    const answer = await fetch(url, { method: "POST", body: JSON.stringify(body), headers: {
        "content-type": "application/json",
        accept: vendor === "github" ? "application/vnd.github+json" : "application/json",
        authorization: "Bearer t", "x-github-api-version": "2022-11-28", "user-agent": "dispatcher" } });
    return [answer.status, await answer.text()];
}

for (const [kind, makers] of Object.entries(requests)) {
    for (const name of readdirSync(`${directory}/${kind}`).filter((name) => name.endsWith(".json"))) {
        for (const make of makers) {
            const read = JSON.parse(readFileSync(`${directory}/${kind}/${name}`, "utf8"));
            const [url, body, needed] = make(read);
            const [status, text] = await send(url, body);
            counts[`${kind} ${status}`] = (counts[`${kind} ${status}`] ?? 0) + 1;
            if (status >= 300) {
                console.log(`${kind}/${name}: HTTP ${status}: ${text.slice(0, 2000)}`);
                process.exit(1);
            }
            const { [needed]: _, ...broken } = body;
            const [refused] = await send(url, broken);
            if (refused < 400) {
                console.log(`${kind}/${name} without '${needed}' is taken: nothing is validated`);
                process.exit(1);
            }
        }
    }
}
console.log(Object.keys(counts).sort().map((kind) => `${kind}: ${counts[kind]}`).join("\n"));

// App repositories of the sandbox before Octokit: ids, renames, commits, comparisons, pages of runs and
// what they cost. Prints one line of JSON.
import { Octokit } from "octokit";

const { GITHUB_API_URL: api, DISPATCHER_SANDBOX_CONTROL: control } = process.env;
const octokit = new Octokit({ baseUrl: api, auth: process.env.GITHUB_TOKEN, retry: { enabled: false }, throttle: { enabled: false } });
const order = async (path, body) => {
    const reply = await fetch(`${control}${path}`, { method: "POST", body: JSON.stringify(body) });
    const text = await reply.text();
    if (!reply.ok) return [reply.status, JSON.parse(text).message];
    return text ? JSON.parse(text) : null;
};
const get = async (path) => (await fetch(`${control}${path}`)).json();
const status = async (promise) => {
    try {
        return (await promise).status;
    } catch (error) {
        return error.status;
    }
};
const sha = (n) => n.toString(16).padStart(40, "0");
const out = {};

// --- ids and names
const shop = { owner: "acme", repo: "shop" };
const line = Array.from({ length: 300 }, (_, i) => ({ sha: sha(i + 1), message: `Change ${i + 1}`, author: { name: "Ada", email: "ada@example.org" } }));
out.made = await order("/github/repositories", { full_name: "acme/shop", id: 123456789, owner_id: 9919, commits: line });
const known = (await octokit.rest.repos.get(shop)).data;
out.repo = [known.id, known.owner.id, known.default_branch, (await octokit.request("GET /repositories/{id}", { id: 123456789 })).data.full_name];
out.bad = [
    (await order("/github/repositories", { full_name: "acme/other", id: 123456789 }))[1],
    (await order("/github/repositories", { full_name: "acme/shop", commits: [sha(1)] }))[1],
    (await order("/github/repositories", { full_name: "acme/shop", commits: [{ sha: sha(900), parents: [sha(901)] }] }))[1],
    (await order("/github/repositories", { full_name: "acme/shop", commits: ["HEAD"] }))[1],
];

// --- commits
const compare = async (basehead, more = {}) => (await octokit.rest.repos.compareCommitsWithBasehead({ ...shop, basehead, ...more })).data;
const short = (c) => [c.status, c.ahead_by, c.behind_by, c.total_commits, parseInt(c.merge_base_commit.sha, 16)];
const ahead = await compare(`${sha(1)}...${sha(4)}`);
out.ahead = [short(ahead), ahead.commits.map((c) => c.commit.message), ahead.commits[0].commit.author.email, ahead.commits[0].parents[0].sha === sha(1)];
out.behind = short(await compare(`${sha(4)}...${sha(1)}`));
out.identical = short(await compare(`main...${sha(300)}`));
await order("/github/repositories", { full_name: "acme/shop", commits: [{ sha: sha(500), parents: [sha(298)] }, { sha: sha(501) }], branches: { topic: sha(501), main: sha(300) } });
out.diverged = short(await compare("main...topic"));
out.unknown = [await status(compare(`${sha(1)}...${sha(999)}`)), await status(compare("nothing"))];
const long = await compare(`${sha(1)}...main`);
out.long = [long.total_commits, long.commits.length, long.commits.at(-1).sha === sha(300)];
const pages = await octokit.paginate(octokit.rest.repos.compareCommitsWithBasehead, { ...shop, basehead: `${sha(1)}...main`, per_page: 100 }, (r) => r.data.commits);
out.pages = [pages.length, parseInt(pages[0].sha, 16), parseInt(pages.at(-1).sha, 16)];
out.commit = (await octokit.rest.repos.getCommit({ ...shop, ref: "topic" })).data.sha === sha(501);
out.listed = (await octokit.rest.repos.listCommits({ ...shop, sha: "topic", per_page: 3 })).data.map((c) => parseInt(c.sha, 16));
const infra = { owner: "acme", repo: "infra" };
const head = (await octokit.rest.git.getRef({ ...infra, ref: "heads/main" })).data.object.sha;
const own = (await octokit.rest.repos.compareCommitsWithBasehead({ ...infra, basehead: `${process.env.FIRST_COMMIT}...main` })).data;
out.git = [own.status, own.ahead_by, own.commits.at(-1).sha === head];

// --- how subjects are made
const subject = async () => (await octokit.rest.actions.getCustomOidcSubClaimForRepo(shop)).data;
out.subject = await subject();
await order("/github/repositories", { full_name: "acme/shop", oidc: { use_default: false, include_claim_keys: ["repo", "ref"], use_immutable_subject: true } });
out.custom = await subject();

// --- a new name
out.renamed = (await order("/github/repositories", { full_name: "acme/shop", rename: "acme/store" })).full_name;
const moved = await fetch(`${api}/repos/acme/shop/commits/topic`, { redirect: "manual", headers: { Authorization: `Bearer ${process.env.GITHUB_TOKEN}`, "User-Agent": "t" } });
out.moved = [moved.status, moved.headers.get("location") === `${api}/repositories/123456789/commits/topic`, (await moved.json()).message];
out.followed = (await octokit.rest.repos.get(shop)).data.full_name;
out.taken = (await order("/github/repositories", { full_name: "acme/store", rename: "acme/infra" }))[1];

// --- runs that only time moves
await order("/github/runs/auto", { seconds_to_start: 0.2, seconds_to_finish: 0.3, conclusion: "failure" });
const runs = 120;
const dispatch = (app) => octokit.rest.actions.createWorkflowDispatch({ ...infra, workflow_id: "deploy.yaml", ref: "main", inputs: { app } });
for (let i = 0; i < runs; i++) await dispatch(`n${i}`);
const list = async (query = {}) => octokit.rest.actions.listWorkflowRuns({ ...infra, workflow_id: "deploy.yaml", per_page: 100, ...query });
for (let i = 0; i < 200 && (await list({ status: "completed" })).data.total_count < runs; i++) await new Promise((resolve) => setTimeout(resolve, 50));
const first = await list();
const all = await octokit.paginate(octokit.rest.actions.listWorkflowRuns, { ...infra, workflow_id: "deploy.yaml", per_page: 100 });
out.runs = [first.data.total_count, first.data.workflow_runs.length, /page=2>; rel="next"/.test(first.headers.link), all.length, new Set(all.map((r) => `${r.status} ${r.conclusion}`)).size, all[0].conclusion];
const jobs = (await octokit.rest.actions.listJobsForWorkflowRun({ ...infra, run_id: all[0].id })).data.jobs;
out.jobs = [...new Set(jobs.map((j) => `${j.status} ${j.conclusion}`))];
out.filters = [(await list({ event: "push" })).data.total_count, (await list({ event: "workflow_dispatch", created: ">=2020-01-01" })).data.total_count, (await list({ created: "<2020-01-01" })).data.total_count];
await order("/github/runs/auto", { seconds_to_start: 60 });
await dispatch("late");
const late = (await list({ status: "queued" })).data.workflow_runs;
await octokit.rest.actions.cancelWorkflowRun({ ...infra, run_id: late[0].id });
for (let i = 0; i < 100 && (await octokit.rest.actions.getWorkflowRun({ ...infra, run_id: late[0].id })).data.status !== "completed"; i++) await new Promise((resolve) => setTimeout(resolve, 50));
out.cancelled = (await octokit.rest.actions.getWorkflowRun({ ...infra, run_id: late[0].id })).data.conclusion;
await order("/github/runs/auto", { off: true });

// --- what it cost
await order("/reset?what=requests", {});
const counted = (await get("/github/counters")).requests;
const poll = await list();
const again = await status(list({ headers: { "if-none-match": poll.headers.etag } }));
const after = await get("/github/counters");
const route = after.routes["GET /repos/{owner}/{repo}/actions/workflows/{workflow}/runs"];
out.counters = [again, after.requests - counted, route.requests - route.counted, route.not_modified];
console.log(JSON.stringify(out));

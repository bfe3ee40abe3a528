// Octokit against the sandbox's GitHub: as an App, dispatch a workflow and follow it to its end.
// Environment: GITHUB_API_URL, DEPLOYMENT_APP_ID, DEPLOYMENT_APP_KEY (path). Prints one JSON object.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { App, Octokit } from "octokit";

const { GITHUB_API_URL, DEPLOYMENT_APP_ID, DEPLOYMENT_APP_KEY } = process.env;
const app = new App({
    appId: DEPLOYMENT_APP_ID,
    privateKey: readFileSync(DEPLOYMENT_APP_KEY, "utf8"),
    Octokit: Octokit.defaults({ baseUrl: GITHUB_API_URL }),
});
const at = { owner: "acme", repo: "infra" };
const found = await app.octokit.request("GET /repos/{owner}/{repo}/installation", at);
const octokit = await app.getInstallationOctokit(found.data.id);
const versioned = { "X-GitHub-Api-Version": "2026-03-10" };

const refused = await octokit.rest.actions
    .createWorkflowDispatch({ ...at, workflow_id: "deploy.yaml", ref: "main", inputs: { no: "x" } })
    .catch((problem) => problem);
const sent = await octokit.rest.actions.createWorkflowDispatch({
    ...at, workflow_id: "deploy.yaml", ref: "main", inputs: { app: "octokit" }, headers: versioned,
});
const run_id = sent.data.workflow_run_id;
let run;
do {
    await sleep(50);
    run = (await octokit.rest.actions.getWorkflowRun({ ...at, run_id })).data;
} while (run.status !== "completed");
const jobs = await octokit.paginate(octokit.rest.actions.listJobsForWorkflowRun,
    { ...at, run_id, per_page: 1 });
const log = await octokit.rest.actions.downloadJobLogsForWorkflowRun({ ...at, job_id: jobs[0].id })
    .then((answer) => String(answer.data), (problem) => `${problem.status}`);
const runs = await octokit.paginate(octokit.rest.actions.listWorkflowRuns,
    { ...at, workflow_id: "deploy.yaml", event: "workflow_dispatch", per_page: 1 });
const file = await octokit.rest.repos.getContent({ ...at, path: ".github/workflows/deploy.yaml" });
const late = await octokit.rest.actions.cancelWorkflowRun({ ...at, run_id }).catch((problem) => problem);
console.log(JSON.stringify({
    refused: [refused.status, refused.response.data.message],
    dispatched: sent.status,
    conclusion: run.conclusion,
    actor: run.actor.login,
    title: run.display_title,
    jobs: jobs.map((job) => `${job.name}=${job.conclusion}`),
    log: log.includes("hello octokit"),
    runs: runs.length,
    file: Buffer.from(file.data.content, "base64").toString().split("\n")[0],
    late: late.status,
}));

// Octokit against the sandbox's GitHub: as an App, report a deployment in every way there is.
// Environment: GITHUB_API_URL, DEPLOYMENT_APP_ID, DEPLOYMENT_APP_KEY (path), REPORTS_REPOSITORY
// (owner/name), REPORTS_SHA, of a commit that is in pull request 7. Prints one JSON object.
import { readFileSync } from "node:fs";
import { App, Octokit } from "octokit";

const { GITHUB_API_URL, DEPLOYMENT_APP_ID, DEPLOYMENT_APP_KEY, REPORTS_REPOSITORY, REPORTS_SHA } =
    process.env;
const [owner, repo] = REPORTS_REPOSITORY.split("/");
const at = { owner, repo };
const app = new App({
    appId: DEPLOYMENT_APP_ID,
    privateKey: readFileSync(DEPLOYMENT_APP_KEY, "utf8"),
    Octokit: Octokit.defaults({ baseUrl: GITHUB_API_URL, throttle: { enabled: false } }),
});
const found = await app.octokit.request("GET /repos/{owner}/{repo}/installation", at);
const { rest, paginate } = await app.getInstallationOctokit(found.data.id);
const task = "deploy:shop", environment = "staging";

const make = (id) => rest.repos.createDeployment({
    ...at, ref: REPORTS_SHA, task, environment, auto_merge: false, required_contexts: [],
    payload: { id, app: "shop" }, production_environment: false,
});
const say = (deployment_id, state) => rest.repos.createDeploymentStatus({
    ...at, deployment_id, state, description: `it is ${state}`, log_url: "https://ci.example.org/1",
    environment_url: "https://shop.example.org", environment,
});
const first = (await make("d-1")).data;
await say(first.id, "in_progress");
await say(first.id, "success");
const second = (await make("d-2")).data;
await say(second.id, "success");
const deployments = await paginate(rest.repos.listDeployments, { ...at, task, environment, per_page: 1 });
const statuses = await paginate(rest.repos.listDeploymentStatuses,
    { ...at, deployment_id: first.id, per_page: 2 });

const sha = REPORTS_SHA;
const status = (state) => rest.repos.createCommitStatus({
    ...at, sha, state, context: "dispatcher/shop", description: "d", target_url: "https://ci.example.org/1",
});
await status("pending");
await status("success");
const combined = (await rest.repos.getCombinedStatusForRef({ ...at, ref: sha })).data;

const note = { path: "appspecs/shop.yaml", start_line: 1, end_line: 1, annotation_level: "failure", message: "m" };
const check = (await rest.checks.create({
    ...at, name: "deploy shop", head_sha: sha, external_id: "d-1", status: "in_progress",
    output: { title: "deploying", summary: "s", annotations: [note] },
})).data;
await rest.checks.update({
    ...at, check_run_id: check.id, conclusion: "failure",
    output: { title: "failed", summary: "s", annotations: [note] },
});
const checks = await paginate(rest.checks.listForRef, { ...at, ref: sha, check_name: "deploy shop" });
const notes = (await rest.checks.listAnnotations({ ...at, check_run_id: check.id })).data;

const pulls = (await rest.repos.listPullRequestsAssociatedWithCommit({ ...at, commit_sha: sha })).data;
const issue_number = pulls[0].number;
const comment = (await rest.issues.createComment({ ...at, issue_number, body: "one" })).data;
const gone = (await rest.issues.createComment({ ...at, issue_number, body: "two" })).data;
await rest.issues.updateComment({ ...at, comment_id: comment.id, body: "three" });
await rest.issues.deleteComment({ ...at, comment_id: gone.id });
const late = await rest.issues.updateComment({ ...at, comment_id: gone.id, body: "x" }).catch((problem) => problem);
const comments = await paginate(rest.issues.listComments, { ...at, issue_number, per_page: 1 });

console.log(JSON.stringify({
    deployments: deployments.map((one) => one.payload.id),
    creator: first.creator.login,
    statuses: statuses.map((one) => one.state),
    combined: [combined.state, combined.total_count, combined.statuses[0].context],
    checks: checks.map((one) => [one.app.slug, one.status, one.conclusion, one.external_id,
        one.output.title, one.output.annotations_count]),
    notes: notes.map((one) => one.annotation_level),
    pulls: pulls.map((one) => [one.number, one.state, one.base.ref, one.base.repo.full_name]),
    comments: comments.map((one) => [one.body, one.user.type]),
    late: late.status,
}));

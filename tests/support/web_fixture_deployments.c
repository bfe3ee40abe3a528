// The fixture's deployments, and its app.
#include <string.h>

#include "dispatcher/memory.h"
#include "web_fixture_internal.h"

enum {
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    HOUR = 60 * MINUTE,
};
#define DAY (INT64_C(24) * HOUR)
#define SHA "8f14e45fceea167a5a36dedd4bea2543b1a4d3c1"
#define SHA_BEFORE "c9f0f895fb98ab9159f51fd0297e236d5e3a1c77"

static struct object_list
commits_of(const struct web_fixture *f)
{
    struct deployment_commit *commits = arena_array(f->arena, 4, sizeof(*commits));
    commits[0] = (struct deployment_commit){.sha = T(SHA),
        .author = T("Grace Hopper"),
        .subject = T("Round amounts half to even (#231)")};
    commits[1] = (struct deployment_commit){.sha = T("45c48cce2e2d7fbdea1afc51c7c6ad26f3b1d0e2"),
        .author = T("Ada Lovelace"),
        .subject = T("Retry the ledger once when it is busy, and say so in the log")};
    commits[2] = (struct deployment_commit){.sha = T("d3d9446802a44259755d38e6d163e82044a0b8f0"),
        .author = T("Radia Perlman"),
        .subject = T("Drop the old export")};
    commits[3] = (struct deployment_commit){.sha = T("6512bd43d9caa6e02c990b0a82652dca9f0c8d11"),
        .author = T("renovate[bot]"),
        .subject = T("Update dependencies")};
    return (struct object_list){commits, 4};
}

static const struct deployment_step all_steps[] = {
    {.name = "push web",
        .kind = "push",
        .reason = "not in the registry",
        .state = "done",
        .note = "8.4 MiB in 3 layers"},
    {.name = "scan web",
        .kind = "scan",
        .reason = "the spec asks for it",
        .state = "done",
        .note = "no findings of severity high or above"},
    {.name = "write web",
        .kind = "write",
        .reason = "the parameter says c9f0f895",
        .state = "done",
        .note = "/payments/production/web/version: version 41 → 42"},
    {.name = "trigger deploy-app.yaml",
        .kind = "trigger",
        .reason = "the spec says so",
        .state = "done"},
    {.name = "follow the run", .kind = "follow", .reason = "to its end"},
    {.name = "prove web", .kind = "prove", .reason = "the digest has to run"},
    {.name = "record", .kind = "record", .reason = "for the next one"},
};

// `now`: index of the one under way, in `state`.
static struct object_list
steps_of(const struct web_fixture *f, size_t now, const char *state)
{
    struct deployment_step *steps = arena_array(f->arena, ARRAY_LENGTH(all_steps), sizeof(*steps));
    for (size_t i = 0; i < ARRAY_LENGTH(all_steps); i++) {
        steps[i] = all_steps[i];
        steps[i].name = T(all_steps[i].name);
        steps[i].reason = T(all_steps[i].reason);
        steps[i].note = i < now ? T(all_steps[i].note) : NULL;
        steps[i].state = i < now ? S("done") : i == now ? S(state) : NULL;
        if (i <= now) {
            steps[i].started_ms = WEB_FIXTURE_NOW - 4 * MINUTE + (int64_t)i * 9 * SECOND;
            bool ended = i < now || strcmp(state, "failed") == 0;
            steps[i].ended_ms = ended ? steps[i].started_ms + 8 * SECOND : 0;
        }
    }
    return (struct object_list){steps, ARRAY_LENGTH(all_steps)};
}

static struct object_list
jobs_of(const struct web_fixture *f, bool failed)
{
    struct deployment_job_step *steps = arena_array(f->arena, 4, sizeof(*steps));
    const char *names[] = {"Check out", "OpenTofu init", "OpenTofu apply", "Wait for the service"};
    for (size_t i = 0; i < 4; i++) {
        steps[i] = (struct deployment_job_step){.name = T(names[i]),
            .status = S(i < 2    ? "completed"
                        : i == 2 ? (failed ? "completed" : "in_progress")
                                 : "queued"),
            .conclusion = i < 2              ? S("success")
                          : i == 2 && failed ? S("failure")
                                             : NULL};
    }
    struct deployment_job *jobs = arena_array(f->arena, 2, sizeof(*jobs));
    jobs[0] = (struct deployment_job){.name = T("claim"),
        .status = S("completed"),
        .conclusion = S("success"),
        .url = U("https://github.com/acme/infra/actions/runs/987/job/1"),
        .started_ms = WEB_FIXTURE_NOW - 3 * MINUTE,
        .completed_ms = WEB_FIXTURE_NOW - 3 * MINUTE + 6 * SECOND};
    jobs[1] = (struct deployment_job){.name = T("deploy"),
        .status = S(failed ? "completed" : "in_progress"),
        .conclusion = failed ? S("failure") : NULL,
        .url = U("https://github.com/acme/infra/actions/runs/987/job/2"),
        .started_ms = WEB_FIXTURE_NOW - 2 * MINUTE,
        .completed_ms = failed ? WEB_FIXTURE_NOW - MINUTE : 0,
        .steps = {steps, 4}};
    return (struct object_list){jobs, 2};
}

static struct deployment *
deployment_of(const struct web_fixture *f, const struct queue_job *job)
{
    struct deployment *d = deployment_new(f->arena);
    d->id = job->id;
    d->verb = S("deploy");
    d->via = T("workflow");
    d->app = T("payments");
    d->name = T("payments");
    d->env = T("production");
    d->version = T(SHA);
    d->sha = T(SHA);
    d->tag = T("v42");
    d->branch = T("main");
    d->repository = T("acme/payments");
    d->actor = T("grace");
    d->because = T("a reason");
    d->caller_url = U("https://github.com/acme/payments/actions/runs/1");
    d->created_ms = job->started_ms;
    d->github_web = U("https://github.com");
    d->workflow_repo = T("acme/infra");
    d->workflow_file = T("deploy-app.yaml");
    d->run_id = 987;
    d->run_url = U("https://github.com/acme/infra/actions/runs/987");
    d->environment_url = U("https://payments.example.org");
    d->commits = commits_of(f);
    d->commits_complete = true;
    const char **notes = arena_array(f->arena, 1, sizeof(char *));
    notes[0] = T("the checkout is shallow, so older commits are not known");
    d->notes = (struct str_list){notes, 1};
    return d;
}

static struct web_deployment
shown_of(const struct web_fixture *f, const struct queue_job *job)
{
    struct queue_approval *approvals = arena_array(f->arena, 2, sizeof(*approvals));
    approvals[0] = (struct queue_approval){.by = T("ada"),
        .version = job->version,
        .diff = T("c9f0f89..8f14e45"),
        .note = T("Looked at the migration with Grace"),
        .at_ms = WEB_FIXTURE_NOW - 6 * MINUTE};
    approvals[1] = (struct queue_approval){.by = T("alan"), // for another difference
        .version = job->version,
        .diff = T("1679091..8f14e45"),
        .at_ms = WEB_FIXTURE_NOW - 5 * MINUTE};
    struct audit_entry *audit = arena_array(f->arena, 1, sizeof(*audit));
    audit[0] = (struct audit_entry){.kind = S("decision"),
        .verdict = S("allow"),
        .actor = T("grace"),
        .reason = T("rule 'release' allows it"),
        .at_ms = WEB_FIXTURE_NOW - 12 * MINUTE};
    return (struct web_deployment){.job = job,
        .approvals = approvals,
        .approval_count = 2,
        .approvals_needed = 2,
        .usual_ms = 7 * MINUTE,
        .from = T(SHA_BEFORE),
        .diff = T("c9f0f89..8f14e45"),
        .compare_url = U("https://github.com/acme/payments/compare/c9f0f89...8f14e45"),
        .rule = T("release"),
        .spec_commit = T("a87ff679a2f3e71d9181a67b7542122c04521f2b"),
        .spec_url = U("https://github.com/acme/infra/blob/a87ff67/appspecs/payments.yaml"),
        .audit = audit,
        .audit_count = 1};
}

static struct web_frame
frame_of(const struct web_fixture *f, enum web_state state)
{
    struct web_frame frame =
        web_fixture_frame(f, "payments → production", "/deployments/d-8f14e45fceea167a");
    frame.state = state;
    return frame;
}

void
web_fixture_running(const struct web_fixture *f, struct buf *out)
{
    struct queue_job *job = web_fixture_job(f, 412, "running");
    struct web_deployment shown = shown_of(f, job);
    struct deployment *d = deployment_of(f, job);
    d->steps = steps_of(f, 4, "waiting");
    d->jobs = jobs_of(f, false);
    d->because = NULL;
    shown.deployment = d;
    shown.cancel = (struct web_action){true, NULL};
    struct web_frame frame = frame_of(f, WEB_STATE_RUNNING);
    frame.stream = U("/api/v1/deployments/d-8f14e45fceea167a/events");
    web_deployment_page(&frame, &shown, out);
}

static void
fail(const struct web_fixture *f, struct deployment *d)
{
    static const char *annotations[] = {
        "Error: creating ECS service: InvalidParameterException: The target group does not exist"};
    const char **lines = arena_array(f->arena, 1, sizeof(char *));
    lines[0] = T(annotations[0]);
    d->result = S("failed");
    d->exit_code = 7;
    d->message = T("the run failed in 'deploy' at 'OpenTofu apply'; the parameter was put back");
    d->hint = T("The target group of the service was removed by hand. Apply the infra repository "
                "once from main, then retry.");
    d->failure = (struct deployment_failure){.job = T("deploy"),
        .job_url = U("https://github.com/acme/infra/actions/runs/987/job/2"),
        .step = T("OpenTofu apply"),
        .annotations = {lines, 1},
        .log_tail =
            T("aws_ecs_service.web: Creating...\n"
              "aws_ecs_service.web: Still creating... [10s elapsed]\n"
              "Error: creating ECS service (web): InvalidParameterException: The target "
              "group with targetGroupArn arn:aws:elasticloadbalancing:us-east-1:123456789012:"
              "targetgroup/payments/8f14e45fceea167a does not exist.\n"
              "##[error]Process completed with exit code 1.")};
    d->finished_ms = WEB_FIXTURE_NOW - MINUTE;
}

void
web_fixture_failed(const struct web_fixture *f, struct buf *out)
{
    struct queue_job *job = web_fixture_job(f, 412, "final");
    job->result = S("failed");
    struct web_deployment shown = shown_of(f, job);
    struct deployment *d = deployment_of(f, job);
    d->steps = steps_of(f, 4, "failed");
    d->jobs = jobs_of(f, true);
    fail(f, d);
    struct deployment_target *targets = arena_array(f->arena, 1, sizeof(*targets));
    const char **evidence = arena_array(f->arena, 1, sizeof(char *));
    evidence[0] = T("task stopped: CannotPullContainerError");
    targets[0] = (struct deployment_target){.name = T("web"),
        .evidence = {evidence, 1},
        .proof = T("v1 runs in 2 of 2 tasks"),
        .forward = {.state = S("sent"),
            .outcome = S("failed"),
            .progress = T("1 of 2 tasks run"),
            .reason = T("the circuit breaker opened")}};
    d->targets = (struct object_list){targets, 1};
    ((struct deployment_step *)d->steps.items)[5].kind = "rollout";
    shown.deployment = d;
    shown.roll_back = (struct web_action){true, NULL};
    shown.retry = (struct web_action){true, NULL};
    struct web_frame frame = frame_of(f, WEB_STATE_FAILED);
    web_deployment_page(&frame, &shown, out);
}

void
web_fixture_waiting(const struct web_fixture *f, struct buf *out)
{
    struct queue_job *job = web_fixture_job(f, 412, "queued");
    job->code = S("approval-needed");
    job->reason = T("Somebody of devops has to approve it");
    job->who = T("devops");
    job->until_ms = WEB_FIXTURE_NOW + 3 * HOUR;
    job->emergency = true;
    job->superseded_by = T("d-9");
    struct web_deployment shown = shown_of(f, job);
    shown.approval_count = 2;
    shown.behind_id = T("d-45c48cce2e2d7fbd");
    shown.behind_number = 411;
    shown.on_release = T("Once it is approved, it runs in its turn.");
    shown.approve = (struct web_action){true, NULL};
    shown.cancel = (struct web_action){true, NULL};
    shown.hurry = (struct web_action){false, T("The teams devops and on-call may move it first.")};
    struct web_frame frame = frame_of(f, WEB_STATE_WAITING);
    web_deployment_page(&frame, &shown, out);
}

void
web_fixture_done(const struct web_fixture *f, struct buf *out)
{
    struct queue_job *job = web_fixture_job(f, 412, "final");
    struct web_deployment shown = shown_of(f, job);
    struct deployment *d = deployment_of(f, job);
    job->verb = S("rollback");
    d->steps = steps_of(f, ARRAY_LENGTH(all_steps), "done");
    d->because = T("checkout is slow");
    d->result = S("deployed");
    d->proven = true;
    d->message = T("deployed, and proven to run");
    d->proof = T("sha256:2c26b46b runs in 2 of 2 tasks of payments-production-web");
    d->finished_ms = WEB_FIXTURE_NOW - MINUTE;
    shown.deployment = d;
    shown.roll_back = (struct web_action){
        false, T("It is not what runs here any more: a newer one took its place.")};
    struct web_frame frame = frame_of(f, WEB_STATE_GOOD);
    web_deployment_page(&frame, &shown, out);
}

// --- an app --------------------------------------------------------------------------------------

static const struct web_rule *
rules_of(const struct web_fixture *f)
{
    static const char *texts[] = {
        "Tags v* pushed by anybody of acme/payments may be deployed.",
        "2 people of devops approve, not the one who asked; it holds for 4 hours.",
        "Nothing is deployed from Friday 15:00 to Monday 07:00 (America/New_York): "
        "nobody is there to look.",
        "Only what ran in staging for 1 hour, the same image.",
    };
    struct web_rule *rules = arena_array(f->arena, ARRAY_LENGTH(texts), sizeof(*rules));
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        rules[i] = (struct web_rule){.text = T(texts[i]),
            .place = T("payments.yaml:14"),
            .url = U("https://github.com/acme/infra/blob/main/appspecs/payments.yaml#L14")};
    }
    return rules;
}

static void
set_columns(
    const struct web_fixture *f, struct web_app_column *columns, struct object_list *between)
{
    static const char *envs[] = {"development", "staging", "production"};
    struct web_good *good = arena_array(f->arena, 3, sizeof(*good));
    good[0] = (struct web_good){T(SHA), WEB_FIXTURE_NOW - 3 * HOUR, true};
    good[1] = (struct web_good){T(SHA_BEFORE), WEB_FIXTURE_NOW - 2 * DAY, false};
    good[2] = (struct web_good){T("v40"), WEB_FIXTURE_NOW - 9 * DAY, false};
    for (size_t i = 0; i < 3; i++) {
        columns[i] = (struct web_app_column){.env = T(envs[i]),
            .cell = {.version = T(i == 2 ? SHA_BEFORE : SHA),
                .deployment = T("d-8f14e45fceea167a"),
                .actor = T("grace"),
                .since_ms = WEB_FIXTURE_NOW - (int64_t)(i + 1) * 3 * HOUR,
                .running_percent = -1},
            .rules = rules_of(f),
            .rule_count = i == 2 ? 4 : 1,
            .good = good,
            .good_count = 3,
            .roll_back = {true, NULL},
            .rollback_locks = i == 2,
            .next = i < 2 ? T(envs[i + 1]) : NULL};
    }
    columns[0].promote = (struct web_action){false, T("staging has this version already.")};
    columns[1].commits = between;
    columns[1].compare_url = U("https://github.com/acme/payments/compare/c9f0f89...8f14e45");
    columns[1].promote = (struct web_action){true, NULL};
    columns[2].cell.behind = 4;
    columns[2].cell.lock = web_fixture_lock(f, "target", "lock");
    columns[2].cell.drift = T("The parameter says v2, and v1 was seen to run.");
    columns[2].cell.failed = T("d-1");
    columns[2].cell.failed_how = T("failed");
    columns[1].cell.running = T("d-2");
    columns[1].cell.running_version = T(SHA);
    columns[2].cell.queued = 2;
    columns[2].cell.waits = T("#412 waits for the approval of devops.");
}

// In sync, with two differences, and not known.
static void
set_drift(const struct web_fixture *f, struct web_app_column *columns)
{
    static const char *const states[] = {"in-sync", "drift", "unknown"};
    struct queue_drift_lane *lanes = arena_array(f->arena, 3, sizeof(*lanes));
    struct queue_drift *items = arena_array(f->arena, 2, sizeof(*items));
    for (size_t i = 0; i < 3; i++) {
        lanes[i] = (struct queue_drift_lane){.state = states[i],
            .parameters = 1,
            .running = i == 2 ? 0 : 1,
            .looked_ms = WEB_FIXTURE_NOW - 2 * MINUTE};
        columns[i].drift = (struct web_drift){.on = true, .lane = &lanes[i]};
    }
    items[0] = (struct queue_drift){.service = T("web"),
        .what = "parameter",
        .expected = T(SHA),
        .found = T("v40"),
        .sentence = T("Parameter '/payments/staging/web/version' says 'v40'; '8f14e45' is what was "
                      "deployed last."),
        .since_ms = WEB_FIXTURE_NOW - 40 * MINUTE};
    items[1] = (struct queue_drift){.service = T("web"),
        .what = "running",
        .expected = T("sha256:aaa"),
        .found = T("sha256:bbb"),
        .sentence = T("'web' does not run '8f14e45': 2 of 2 tasks run sha256:bbb instead of "
                      "sha256:aaa."),
        .since_ms = WEB_FIXTURE_NOW - 3 * HOUR};
    columns[1].drift.items = items;
    columns[1].drift.count = 2;
    lanes[2].unknown_ms = WEB_FIXTURE_NOW - 5 * HOUR;
    lanes[2].why = T("read parameter '/payments/production/web/version': AccessDeniedException");
}

static void
set_past(const struct web_fixture *f, struct web_past *past)
{
    static const char *results[] = {"deployed", "failed", "deployed", "superseded", "deployed"};
    for (size_t i = 0; i < ARRAY_LENGTH(results); i++) {
        struct queue_job *job = web_fixture_job(f, 412 - (int64_t)i, "final");
        job->result = S(results[i]);
        job->created_ms -= (int64_t)i * 5 * HOUR;
        job->verb = S(i == 2 ? "rollback" : i == 4 ? "promote" : "deploy");
        job->reason = i == 3 ? T("#410 took its place") : NULL;
        past[i] = (struct web_past){.job = job, .took_ms = 3 * MINUTE + (int64_t)i * 7 * SECOND};
    }
    past[2].rollback_of = T("v41");
    past[2].because = T("checkout is slow");
}

void
web_fixture_app(const struct web_fixture *f, struct buf *out)
{
    struct object_list between = commits_of(f);
    struct web_app_column columns[3];
    struct web_past past[5];
    set_columns(f, columns, &between);
    set_drift(f, columns);
    set_past(f, past);
    struct web_lock locks[] = {{web_fixture_lock(f, "target", "lock"), NULL}};
    struct web_app app = {.app = T("payments"),
        .title = T("Payments and refunds"),
        .program = T("benefits"),
        .repository = T("acme/payments"),
        .repository_url = U("https://github.com/acme/payments"),
        .spec_url = U("https://github.com/acme/infra/blob/main/appspecs/payments.yaml"),
        .columns = columns,
        .count = 3,
        .env = columns[2].env,
        .past = past,
        .past_count = ARRAY_LENGTH(past),
        .next = U("/apps/payments?before=407"),
        .locks = locks,
        .lock_count = 1,
        .keys = {{.days = 30,
                     .deployments = 41,
                     .per_week_tenths = 96,
                     .lead_ms = 2 * HOUR + 5 * MINUTE,
                     .failed = 3,
                     .ended = 44,
                     .restore_ms = 26 * MINUTE},
            {.days = 90,
                .deployments = 118,
                .per_week_tenths = 92,
                .lead_ms = 3 * HOUR,
                .lead_from_commit = true,
                .failed = 9,
                .ended = 127,
                .restore_ms = 41 * MINUTE}}};
    struct web_frame frame = web_fixture_frame(f, "payments", "/apps/payments?env=production");
    web_app_page(&frame, &app, out);
}

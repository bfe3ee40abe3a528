// An ordinary day in words and numbers: the frame, the matrix, the queue, locks, audit, sign-in.
#include <string.h>

#include "dispatcher/memory.h"
#include "web_fixture_internal.h"

enum {
    MINUTE = 60 * 1000,
    HOUR = 60 * MINUTE,
};
#define DAY (INT64_C(24) * HOUR)

static const char *names[] = {"development", "staging", "production"};
static const char *names4[] = {"development", "staging", "demo", "production"};

const char *
web_fixture_text(const struct web_fixture *f, const char *text)
{
    return f->text != NULL && text != NULL ? f->text(f->ctx, text) : text;
}

const char *
web_fixture_url(const struct web_fixture *f, const char *url)
{
    return f->url != NULL && url != NULL ? f->url(f->ctx, url) : url;
}

const char *
web_fixture_state(const struct web_fixture *f, const char *state)
{
    return f->states ? web_fixture_text(f, state) : state;
}

struct queue_lock *
web_fixture_lock(const struct web_fixture *f, const char *scope, const char *level)
{
    struct queue_lock *lock = arena_alloc(f->arena, sizeof(*lock));
    *lock = (struct queue_lock){.id = T("l-7c1a"),
        .scope = S(scope),
        .app = T("payments"),
        .env = T("production"),
        .program = T("benefits"),
        .level = S(level),
        .reason = T("Database migration in progress"),
        .owner = T("ada"),
        .on_release = S("run"),
        .created_ms = WEB_FIXTURE_NOW - 2 * HOUR,
        .starts_ms = WEB_FIXTURE_NOW - 2 * HOUR,
        .expires_ms = WEB_FIXTURE_NOW + 3 * HOUR,
        .epoch = 3};
    return lock;
}

struct web_frame
web_fixture_frame(const struct web_fixture *f, const char *title, const char *path)
{
    return (struct web_frame){.title = T(title),
        .path = U(path),
        .login = T("octocat"),
        .csrf = T("5d41402abc4b2a76b9719d911017c592"),
        .once = T("0123456789abcdef"),
        .url = T("https://dispatcher.example.org"),
        .queued = 4,
        .running = 2,
        .now_ms = WEB_FIXTURE_NOW};
}

// --- matrix --------------------------------------------------------------------------------------

// Repeats, and looks like what it stands for.
static uint32_t
next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static const char *
sha_of(const struct web_fixture *f, uint32_t seed)
{
    static const char digits[] = "0123456789abcdef";
    char *sha = arena_alloc(f->arena, 41);
    for (size_t i = 0; i < 40; i++) {
        sha[i] = digits[next(&seed) % 16];
    }
    return sha;
}

static const char *
id_of(const struct web_fixture *f, uint32_t seed)
{
    return arena_printf(f->arena, "d-%.16s", sha_of(f, seed + 77));
}

static void
set_cell(const struct web_fixture *f, struct web_cell *cell, size_t app, size_t env)
{
    static const char *people[] = {
        "ada", "grace", "katherine", "alan", "barbara", "edsger", "radia", "margaret"};
    uint32_t seed = (uint32_t)(app * 31 + env * 7 + 5);
    uint32_t dice = next(&seed) % 100;
    *cell = (struct web_cell){.version = T(sha_of(f, (uint32_t)app * 97 + (env > 1 ? 1 : 0))),
        .deployment = T(id_of(f, seed)),
        .actor = T(people[next(&seed) % ARRAY_LENGTH(people)]),
        .since_ms = WEB_FIXTURE_NOW - (int64_t)(next(&seed) % 40000 + 3) * MINUTE,
        .running_percent = -1};
    if (app % 11 == 3 && env == 0) {
        *cell = (struct web_cell){.running_percent = -1};
    } else if (dice < 4) {
        cell->running = T(id_of(f, seed + 1));
        cell->running_version = T(sha_of(f, seed + 2));
        cell->running_percent = dice * 20 + 15;
    } else if (dice < 7) {
        cell->failed = T(id_of(f, seed + 3));
        cell->failed_how = T("failed");
        cell->failed_ms = WEB_FIXTURE_NOW - HOUR;
    } else if (dice < 9) {
        cell->queued = dice - 6;
        cell->waits = T("needs the approval of devops");
    } else if (dice < 11) {
        cell->lock = web_fixture_lock(f, "target", dice == 9 ? "lock" : "warning");
    } else if (dice < 12) {
        cell->drift = T("The parameter says v2, and v1 was seen to run");
    } else if (dice > 97) {
        cell->drift_unknown = T("ssm:GetParameter is not allowed");
    } else if (dice < 20 && env > 1) {
        cell->behind = dice - 10;
    }
    if (f->nothing_known && cell->version != NULL && cell->drift == NULL) {
        cell->drift_unknown = T("ssm:GetParameter is not allowed");
    }
}

static struct web_row *
rows_of(const struct web_fixture *f, size_t apps, size_t envs)
{
    static const char *words[] = {"payments", "checkout", "identity", "search", "notify", "catalog",
        "billing", "reports", "intake", "portal", "ledger", "mailer", "scheduler", "documents",
        "eligibility", "calendar"};
    static const char *programs[] = {"benefits", "commerce", "platform", "outreach"};
    struct web_row *rows = arena_array(f->arena, apps, sizeof(*rows));
    for (size_t i = 0; i < apps; i++) {
        struct web_cell *cells = arena_array(f->arena, envs, sizeof(*cells));
        for (size_t k = 0; k < envs; k++) {
            set_cell(f, &cells[k], i, k);
        }
        const char *word = words[i % ARRAY_LENGTH(words)];
        rows[i] = (struct web_row){
            .app = T(i < ARRAY_LENGTH(words) ? word : arena_printf(f->arena, "%s-%zu", word, i)),
            .title = T("Payments"),
            .program = T(programs[i * ARRAY_LENGTH(programs) / apps]),
            .cells = cells};
    }
    return rows;
}

static struct web_matrix
matrix_of(const struct web_fixture *f, size_t apps, size_t envs, struct str_list *columns)
{
    *columns = (struct str_list){arena_array(f->arena, envs, sizeof(char *)), envs};
    const struct queue_lock **locks = arena_array(f->arena, envs, sizeof(struct queue_lock *));
    for (size_t i = 0; i < envs; i++) {
        columns->items[i] = T(envs == 4 ? names4[i] : names[i]);
    }
    locks[1] = web_fixture_lock(f, "environment", "freeze");
    return (struct web_matrix){.environments = columns,
        .column_locks = locks,
        .rows = rows_of(f, apps, envs),
        .count = apps,
        .total = apps,
        .failing = 3,
        .behind = 7,
        .locked = 2,
        .mine = 5,
        .drift = 4,
        .drift_unknown = 12,
        .drift_looked_ms = WEB_FIXTURE_NOW - 2 * MINUTE};
}

void
web_fixture_matrix(const struct web_fixture *f, size_t apps, struct buf *out)
{
    struct str_list columns;
    struct web_matrix matrix = matrix_of(f, apps, 4, &columns);
    struct web_frame frame = web_fixture_frame(f, "Environments", "/");
    frame.state = WEB_STATE_RUNNING;
    web_matrix_page(&frame, &matrix, out);
}

static void
put_matrix(const struct web_fixture *f, struct buf *out)
{
    struct str_list columns;
    struct web_matrix matrix = matrix_of(f, 16, 3, &columns);
    struct web_frame frame = web_fixture_frame(f, "Environments", "/");
    struct web_lock banners[] = {
        {web_fixture_lock(f, "environment", "freeze"), T("ada and the team devops can lift it.")},
        {web_fixture_lock(f, "organisation", "warning"), NULL}};
    frame.state = WEB_STATE_FAILED;
    frame.banners = banners;
    frame.banner_count = 2;
    frame.flash = T("payments in production is locked.");
    web_matrix_page(&frame, &matrix, out);
}

static void
put_past(const struct web_fixture *f, struct buf *out)
{
    struct str_list columns;
    struct web_matrix matrix = matrix_of(f, 8, 3, &columns);
    struct web_frame frame = web_fixture_frame(f, "Environments", "/?at=2026-11-20T07:48:00Z");
    const struct queue_lock *then[] = {web_fixture_lock(f, "organisation", "freeze")};
    matrix.at_ms = WEB_FIXTURE_NOW - DAY;
    matrix.then = then;
    matrix.then_count = 1;
    matrix.q = T("pay");
    matrix.only_behind = true;
    web_matrix_page(&frame, &matrix, out);
}

static void
put_tv(const struct web_fixture *f, struct buf *out)
{
    struct str_list columns;
    struct web_matrix matrix = matrix_of(f, 30, 4, &columns);
    struct web_frame frame = web_fixture_frame(f, "Environments", "/?tv=1");
    frame.bare = matrix.tv = true;
    web_matrix_page(&frame, &matrix, out);
}

static void
put_none(const struct web_fixture *f, struct buf *out)
{
    struct str_list columns;
    struct web_matrix matrix = matrix_of(f, 1, 3, &columns);
    struct web_frame frame = web_fixture_frame(f, "Environments", "/?q=nothing");
    matrix.count = 0;
    matrix.q = T("nothing");
    web_matrix_page(&frame, &matrix, out);
}

// --- queue ---------------------------------------------------------------------------------------

struct queue_job *
web_fixture_job(const struct web_fixture *f, int64_t number, const char *state)
{
    struct queue_job *job = arena_alloc(f->arena, sizeof(*job));
    *job = (struct queue_job){.id = T(id_of(f, (uint32_t)number)),
        .number = number,
        .app = T("payments"),
        .env = T("production"),
        .verb = S("deploy"),
        .version = T(sha_of(f, (uint32_t)number + 3)),
        .state = S(state),
        .requester = T("grace"),
        .repository = T("acme/payments"),
        .trace = T("4bf92f3577b34da6a3ce929d0e0e4736"),
        .created_ms = WEB_FIXTURE_NOW - 12 * MINUTE};
    if (strcmp(state, "queued") != 0) {
        job->started_ms = WEB_FIXTURE_NOW - 4 * MINUTE;
    }
    if (strcmp(state, "final") == 0) {
        job->ended_ms = WEB_FIXTURE_NOW - MINUTE;
        job->result = S("deployed");
    }
    return job;
}

static struct web_waiting
waiting_of(const struct web_fixture *f, struct queue_job *job, const char *code, const char *reason)
{
    job->code = S(code);
    job->reason = T(reason);
    job->who = T("devops");
    return (struct web_waiting){.job = job,
        .position = job->number - 410,
        .percent = -1,
        .cancel = {true, NULL},
        .hurry = {false, T("The teams devops and on-call may move it first.")}};
}

static void
put_queue(const struct web_fixture *f, struct buf *out)
{
    struct queue_job *window = web_fixture_job(f, 415, "queued");
    struct queue_job *locked = web_fixture_job(f, 416, "queued");
    struct web_waiting lane[] = {
        {.job = web_fixture_job(f, 411, "running"),
            .percent = 62,
            .eta_ms = WEB_FIXTURE_NOW + 3 * MINUTE,
            .cancel = {true, NULL}},
        waiting_of(f, web_fixture_job(f, 412, "queued"), "approval-needed",
            "Somebody of devops has to approve it"),
        waiting_of(
            f, web_fixture_job(f, 413, "queued"), "behind", "#411 and another one go before it"),
    };
    lane[1].approvals_needed = 2;
    lane[1].approvals_given = 1;
    lane[1].diff = T("8f14e45..c9f0f89");
    lane[1].approve = (struct web_action){true, NULL};
    lane[2].eta_ms = WEB_FIXTURE_NOW + 14 * MINUTE;
    lane[2].hurry = (struct web_action){true, NULL};
    struct web_waiting other[] = {
        waiting_of(
            f, window, "window", "Nothing is deployed on Saturdays: nobody is there to look"),
        waiting_of(f, locked, "locked", "ada holds a lock: Database migration in progress"),
    };
    window->until_ms = WEB_FIXTURE_NOW + 2 * DAY;
    window->emergency = true;
    locked->verb = S("rollback");
    locked->urgent = true;
    other[1].on_release = T("When it is lifted, it runs.");
    other[0].cancel =
        (struct web_action){false, T("grace, or somebody of acme/checkout, can cancel it.")};
    struct web_lane lanes[] = {
        {T("payments"), T("production"), lane, ARRAY_LENGTH(lane), 7 * MINUTE},
        {T("checkout"), T("staging"), other, ARRAY_LENGTH(other), 0},
    };
    struct web_queue queue = {.lanes = lanes, .count = 2, .left_out = 3};
    struct web_frame frame = web_fixture_frame(f, "Queue", "/queue");
    frame.state = WEB_STATE_RUNNING;
    web_queue_page(&frame, &queue, out);
}

static void
put_queue_empty(const struct web_fixture *f, struct buf *out)
{
    struct web_queue queue = {0};
    struct web_frame frame = web_fixture_frame(f, "Queue", "/queue");
    frame.queued = frame.running = 0;
    web_queue_page(&frame, &queue, out);
}

// --- audit, locks --------------------------------------------------------------------------------

static struct audit_entry
entry_of(const struct web_fixture *f, int64_t sequence, const char *kind, const char *verdict)
{
    return (struct audit_entry){.sequence = sequence,
        .at_ms = WEB_FIXTURE_NOW - (600 - sequence) * 7 * MINUTE,
        .kind = S(kind),
        .verdict = S(verdict),
        .code = S(strcmp(verdict, "deny") == 0 ? "ref-not-allowed" : "allowed"),
        .reason = T(strcmp(verdict, "deny") == 0 ? "no rule allows refs/heads/feature/x"
                                                 : "rule 'release' allows it"),
        .request_id = T("01JD9Q7Z"),
        .app = T("payments"),
        .env = T("production"),
        .deployment = T(id_of(f, (uint32_t)sequence)),
        .version = T(sha_of(f, (uint32_t)sequence)),
        .digest = T("sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"),
        .actor = T("grace"),
        .actor_id = 4711,
        .repository_id = 123456,
        .run_id = 987654321,
        .run_attempt = 1,
        .check_run_id = 55,
        .jti = T("6f1b"),
        .token_hash = T("LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564="),
        .rule = T("release"),
        .spec_commit = T(sha_of(f, 4)),
        .floor_commit = T(sha_of(f, 4)),
        .detail = T("{\"ref\":\"refs/tags/v42\"}"),
        .previous = T(sha_of(f, 9)),
        .hash = T(sha_of(f, 10))};
}

static void
put_audit(const struct web_fixture *f, struct buf *out)
{
    struct audit_entry entries[] = {
        entry_of(f, 600, "decision", "allow"),
        entry_of(f, 599, "decision", "deny"),
        entry_of(f, 598, "lock", "done"),
        entry_of(f, 597, "approval", "done"),
        entry_of(f, 596, "decision", "wait"),
    };
    struct audit_verdict verdict = {.entries = 600, .head = T(sha_of(f, 10))};
    struct web_audit audit = {.entries = entries,
        .count = ARRAY_LENGTH(entries),
        .filter = {.app = T("payments"),
            .env = T("production"),
            .actor = T("grace"),
            .kind = T("decision"),
            .deployment = T("d-1"),
            .code = T("allowed")},
        .since = T("2026-11-01"),
        .until = T("2026-11-30"),
        .verdict = &verdict,
        .next = 595};
    struct web_frame frame = web_fixture_frame(f, "Audit log", "/audit");
    web_audit_page(&frame, &audit, out);
}

static void
put_audit_broken(const struct web_fixture *f, struct buf *out)
{
    struct audit_verdict verdict = {
        .entries = 17, .broken_at = 17, .why = T("its hash is another")};
    struct web_audit audit = {.view = T("denials"), .verdict = &verdict};
    struct web_frame frame = web_fixture_frame(f, "Audit log", "/audit?view=denials");
    frame.state = WEB_STATE_FAILED;
    web_audit_page(&frame, &audit, out);
}

static void
put_locks(const struct web_fixture *f, struct buf *out)
{
    struct queue_lock *lasting = web_fixture_lock(f, "app", "warning");
    struct queue_lock *coming = web_fixture_lock(f, "program", "lock");
    struct web_lock locks[] = {
        {web_fixture_lock(f, "target", "lock"), NULL},
        {web_fixture_lock(f, "environment", "freeze"), T("ada and the team devops can lift it.")},
        {lasting, NULL},
        {coming, NULL},
        {web_fixture_lock(f, "organisation", "lock"), NULL},
    };
    struct queue_lock *released = web_fixture_lock(f, "app", "lock");
    released->released_ms = WEB_FIXTURE_NOW - HOUR;
    released->released_by = T("ada");
    lasting->expires_ms = 0;
    coming->starts_ms = WEB_FIXTURE_NOW + HOUR;
    coming->on_release = S("drop");
    struct web_lock past[] = {{released, NULL}};
    const char *apps[] = {T("payments"), T("checkout")};
    const char *envs[] = {T("staging"), T("production")};
    const char *programs[] = {T("benefits")};
    struct str_list app_list = {apps, 2}, env_list = {envs, 2}, program_list = {programs, 1};
    struct web_locks page = {.locks = locks,
        .count = ARRAY_LENGTH(locks),
        .past = past,
        .past_count = 1,
        .apps = &app_list,
        .environments = &env_list,
        .programs = &program_list,
        .app = apps[0],
        .env = envs[1],
        .add = {true, NULL}};
    struct web_frame frame = web_fixture_frame(f, "Locks", "/locks");
    frame.flash = T("It is locked by somebody else already.");
    frame.flash_refused = true;
    frame.theme = S("dark");
    web_locks_page(&frame, &page, out);
}

// --- without navigation --------------------------------------------------------------------------

static void
put_sign_in(const struct web_fixture *f, struct buf *out)
{
    struct web_sign_in page = {.github = true,
        .problem = T("You are no member of acme."),
        .next = U("/apps/payments"),
        .organization = T("acme")};
    struct web_frame frame = web_fixture_frame(f, "Sign in", "/sign-in");
    frame.login = frame.csrf = NULL;
    web_sign_in_page(&frame, &page, out);
}

static void
put_sign_in_proxy(const struct web_fixture *f, struct buf *out)
{
    struct web_sign_in page = {.proxy = T("X-Forwarded-User")};
    struct web_frame frame = web_fixture_frame(f, "Sign in", "/sign-in");
    frame.login = frame.csrf = NULL;
    web_sign_in_page(&frame, &page, out);
}

static void
put_problem(const struct web_fixture *f, struct buf *out)
{
    struct web_problem page = {.status = 404,
        .sentence = T("There is no deployment 'd-123'."),
        .hint = T("It may have been removed."),
        .who = T("devops"),
        .code = T("not-found"),
        .request_id = T("01JD9Q7Z")};
    struct web_frame frame = web_fixture_frame(f, "Not found", "/deployments/d-123");
    web_problem_page(&frame, &page, out);
}

static void
put_badge(const struct web_fixture *f, struct buf *out)
{
    web_badge(T("production"), T("v1.2.3"), WEB_STATE_GOOD, out);
}

const struct web_page web_fixture_pages[] = {
    {"matrix", put_matrix},
    {"matrix-past", put_past},
    {"matrix-tv", put_tv},
    {"matrix-none", put_none},
    {"deployment-running", web_fixture_running},
    {"deployment-failed", web_fixture_failed},
    {"deployment-waiting", web_fixture_waiting},
    {"deployment-done", web_fixture_done},
    {"queue", put_queue},
    {"queue-empty", put_queue_empty},
    {"app", web_fixture_app},
    {"audit", put_audit},
    {"audit-broken", put_audit_broken},
    {"locks", put_locks},
    {"sign-in", put_sign_in},
    {"sign-in-proxy", put_sign_in_proxy},
    {"problem", put_problem},
    {"badge", put_badge},
};
const size_t web_fixture_page_count = ARRAY_LENGTH(web_fixture_pages);

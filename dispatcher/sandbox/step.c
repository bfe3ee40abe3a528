// One step as a real process: its script, its environment, its files, its end.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "process_internal.h"
#include "runner_internal.h"

enum { FILE_MAX = 1024 * 1024, ENVIRONMENT_MAX = 4096 };

static const char *const files[] = {
    "GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY", "GITHUB_STATE"};

static void
take_line(void *ctx, struct str line)
{
    struct job_state *state = ctx;
    sandbox_job_log_line(&state->log, line);
}

static bool
is_forced(void *ctx)
{
    struct job_state *state = ctx;
    (void)pthread_mutex_lock(&state->sandbox->lock);
    bool forced = state->run->is_forced;
    (void)pthread_mutex_unlock(&state->sandbox->lock);
    return forced;
}

struct env_list {
    char **items;
    size_t count;
};

static void
add_variable(void *ctx, const char *key, const struct json *value)
{
    struct env_list *list = ctx;
    if (list->count < ENVIRONMENT_MAX && json_str(value) != NULL) {
        list->items[list->count++] = xasprintf("%s=%s", key, json_str(value));
    }
}

static char **
environment_of(const struct json *variables)
{
    struct env_list list = {.items = xcalloc(ENVIRONMENT_MAX + 1, sizeof(*list.items))};
    json_each(variables, add_variable, &list);
    return list.items;
}

static void
free_environment(char **list)
{
    for (char **at = list; *at != NULL; at++) {
        free(*at);
    }
    free(list);
}

// The shells GitHub documents ("jobs.<job_id>.steps[*].shell"); NULL ends the list.
static bool
shell_arguments(const char *shell, const char *script, const char *out[8])
{
    static const struct {
        const char *shell;
        const char *words[6];
    } shells[] = {
        {"", {"bash", "-e"}},
        {"bash", {"bash", "--noprofile", "--norc", "-eo", "pipefail"}},
        {"sh", {"sh", "-e"}},
        {"python", {"python3"}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(shells); i++) {
        if (strcmp(shells[i].shell, shell) == 0) {
            size_t count = 0;
            while (shells[i].words[count] != NULL) {
                out[count] = shells[i].words[count];
                count++;
            }
            out[count] = script;
            out[count + 1] = NULL;
            return true;
        }
    }
    return false;
}

static const char *
temp_file(const struct job_state *state, const char *name)
{
    return arena_printf(state->arena, "%s/%s", state->temp, name);
}

static struct error *
make_files(const struct job_state *state, struct json *variables)
{
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        const char *path = temp_file(state, files[i]);
        TRY(file_write(path, (struct str){0}, 0600));
        json_set_str(variables, files[i], path);
    }
    return NULL;
}

static struct str
read_back(const struct job_state *state, const char *name)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(FILE_MAX);
    bool found = false;
    struct error *err CLEANUP(error_freep) = file_read(temp_file(state, name), &text, &found);
    return err == NULL && found ? str_of(arena_str(state->arena, buf_str(&text))) : (struct str){0};
}

// What the step left in GITHUB_ENV, GITHUB_PATH, GITHUB_OUTPUT and GITHUB_STEP_SUMMARY.
static void
take_files(struct job_state *state, const struct workflow_step *step)
{
    struct str line = {0}, paths = read_back(state, "GITHUB_PATH");
    sandbox_job_read_pairs(read_back(state, "GITHUB_ENV"), state->env);
    while (str_cut(paths, '\n', &line, &paths)) {
        if (str_trim(line).len > 0) {
            char *longer = xasprintf("%.*s:%s", STR_FMT(str_trim(line)), state->path);
            free(state->path);
            state->path = longer;
        }
    }
    if (step->id != NULL) {
        struct json *outputs = json_make_object(), *entry = json_make_object();
        sandbox_job_read_pairs(read_back(state, "GITHUB_OUTPUT"), outputs);
        json_set(entry, "outputs", outputs);
        struct json *steps = json_clone(json_get(state->contexts, "steps"));
        json_set(steps, step->id, entry);
        json_set(state->contexts, "steps", steps);
    }
    struct str summary = read_back(state, "GITHUB_STEP_SUMMARY");
    if (summary.len > 0) {
        const char *path = arena_printf(state->arena, "%s/../summary.md", state->workspace);
        struct error *err CLEANUP(error_freep) = file_append(path, summary);
        (void)err; // a summary that cannot be kept does not fail a step
    }
}

static void
keep_group(struct job_state *state, int64_t group)
{
    if (group != 0) {
        state->groups = xrealloc(state->groups, (state->group_count + 1) * sizeof(*state->groups));
        state->groups[state->group_count++] = group;
    }
}

static const char *
conclude(struct job_state *state, const struct process_end *end, int64_t timeout_ms)
{
    if (end->cancelled) {
        sandbox_job_log_put(&state->log, "##[error]The operation was canceled.");
        return "cancelled";
    }
    if (end->timed_out) {
        sandbox_job_log_put(&state->log, "##[error]The action has timed out after %lld minutes.",
            (long long)(timeout_ms / 60000));
        return "failure";
    }
    if (end->exit_code == 0) {
        return "success";
    }
    char *message CLEANUP(xfreep) =
        xasprintf("Process completed with exit code %d.", end->exit_code);
    sandbox_job_log_put(&state->log, "##[error]%s", message);
    sandbox_job_log_annotate(&state->log, "failure", ".github", 1, "", message);
    return "failure";
}

// Runs a script that is already in a file; `variables` are all of the process's.
static const char *
execute(struct job_state *state, const char *const *arguments, const struct json *variables,
    const char *directory, int64_t timeout_ms)
{
    char **environment = environment_of(variables);
    const struct clock *clock = state->sandbox->platform->clock;
    struct process process = {.clock = clock,
        .arguments = arguments,
        .environment = environment,
        .directory = directory,
        .cancel = state->run->cancel,
        .is_forced = is_forced,
        .line = take_line,
        .ctx = state,
        .deadline_ms = timeout_ms > 0 ? clock_mono(clock) + timeout_ms : 0};
    struct process_end end = {0};
    struct error *err CLEANUP(error_freep) = sandbox_process_run(&process, &end);
    free_environment(environment);
    if (err != NULL) {
        sandbox_job_log_put(&state->log, "##[error]%s", error_message(err));
        return "failure";
    }
    keep_group(state, end.group);
    return conclude(state, &end, timeout_ms);
}

static void
log_header(struct job_state *state, const char *script, const char *shell)
{
    struct str first = {0}, line = {0}, rest = str_of(script);
    (void)str_cut(str_trim(rest), '\n', &first, &line);
    sandbox_job_log_put(&state->log, "##[group]Run %.*s", STR_FMT(first));
    while (str_cut(rest, '\n', &line, &rest)) {
        sandbox_job_log_put(&state->log, "%.*s", STR_FMT(line));
    }
    sandbox_job_log_put(&state->log, "shell: %s", shell[0] != '\0' ? shell : "bash -e {0}");
    sandbox_job_log_put(&state->log, "##[endgroup]");
}

static struct error *
prepare(struct job_state *state, const struct workflow_step *step, const char **script,
    const char **directory)
{
    struct expression_scope scope = sandbox_job_scope(state);
    const char *wanted = step->directory != NULL ? step->directory : state->plan->directory;
    const char *relative = ".";
    TRY(sandbox_expression_expand(&scope, step->run, script));
    TRY(sandbox_expression_expand(&scope, wanted != NULL ? wanted : ".", &relative));
    *directory = relative[0] == '/'
                     ? relative
                     : arena_printf(state->arena, "%s/%s", state->workspace, relative);
    return file_write(temp_file(state, "script.sh"), str_of(*script), 0700);
}

void
sandbox_step_run(struct job_state *state, const struct workflow_step *step, const char **conclusion)
{
    const char *script = NULL, *directory = NULL;
    const char *shell = step->shell != NULL ? step->shell : state->plan->shell;
    struct json *variables CLEANUP(json_freep) = json_make_object();
    const char *arguments[8] = {0};
    shell = shell != NULL ? shell : "";
    *conclusion = "failure";
    sandbox_job_base_environment(state, variables);
    sandbox_job_merge(variables, json_get(state->contexts, "env"));
    struct error *err CLEANUP(error_freep) = prepare(state, step, &script, &directory);
    if (err == NULL) {
        err = make_files(state, variables);
    }
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        sandbox_job_log_put(&state->log, "##[error]%s", text);
        sandbox_job_log_annotate(&state->log, "failure", ".github", 1, "", text);
        return;
    }
    if (!shell_arguments(shell, temp_file(state, "script.sh"), arguments)) {
        sandbox_job_log_put(&state->log, "##[error]the sandbox has no shell '%s'", shell);
        return;
    }
    log_header(state, script, shell);
    *conclusion = execute(state, arguments, variables, directory, step->timeout_ms);
    take_files(state, step);
}

static const char checkout_git[] =
    "git init -q \"$TO\" 2>/dev/null && cd \"$TO\" &&\n"
    "git fetch -q --tags \"$FROM\" '+refs/heads/*:refs/remotes/origin/*' &&\n"
    "git -c advice.detachedHead=false checkout -q -f \"$AT\" && git log -1 --format='%H %s'\n";
static const char checkout_copy[] = "mkdir -p \"$TO\" && cp -R \"$FROM/.\" \"$TO\"\n";

void
sandbox_step_checkout(
    struct job_state *state, const struct workflow_step *step, const char **conclusion)
{
    struct json *variables CLEANUP(json_freep) = json_make_object();
    struct json *with CLEANUP(json_freep) = json_make_object();
    const struct github_repo *repo = state->run->repo;
    const char *at = state->run->sha;
    *conclusion = "failure";
    if (!sandbox_job_expand_env(state, step->with, with)) {
        return;
    }
    const char *wanted = json_str(json_get(with, "repository"));
    const char *ref = json_str(json_get(with, "ref"));
    const char *path = json_str(json_get(with, "path"));
    if (wanted != NULL && strcmp(wanted, repo->full) != 0) {
        struct str owner = {0}, name = {0};
        (void)str_cut(str_of(wanted), '/', &owner, &name);
        repo = sandbox_github_find_repo(
            state->sandbox->github, arena_str(state->arena, owner), arena_str(state->arena, name));
        at = "origin/HEAD";
    }
    if (repo == NULL) {
        sandbox_job_log_put(&state->log, "##[error]the sandbox serves no repository '%s'", wanted);
        return;
    }
    if (ref != NULL && ref[0] != '\0') {
        at = ref;
    }
    sandbox_job_base_environment(state, variables);
    json_set_str(variables, "FROM", repo->path);
    json_set_str(variables, "TO",
        arena_printf(state->arena, "%s/%s", state->workspace, path != NULL ? path : "."));
    json_set_str(variables, "AT", at);
    json_set_str(variables, "GIT_CONFIG_NOSYSTEM", "1");
    const char *arguments[] = {"sh", "-c", repo->is_git ? checkout_git : checkout_copy, NULL};
    sandbox_job_log_put(&state->log, "Syncing repository: %s", repo->full);
    *conclusion = execute(state, arguments, variables, state->workspace, 0);
}

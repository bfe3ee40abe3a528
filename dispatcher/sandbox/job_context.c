// What expressions and processes of a job see: contexts, environment variables, the pair files.
// Of the person's own environment only what a shell needs is passed on: no credentials.
#include <string.h>

#include "dispatcher/memory.h"
#include "runner_internal.h"

static void
merge_member(void *ctx, const char *key, const struct json *value)
{
    json_set(ctx, key, json_clone(value));
}

static void
set_number(struct json *object, const char *key, int64_t number)
{
    char *text CLEANUP(xfreep) = xasprintf("%lld", (long long)number);
    json_set_str(object, key, text);
}

static struct json *
pairs_json(const struct pair_list *pairs)
{
    struct json *object = json_make_object();
    for (size_t i = 0; i < pairs->count; i++) {
        json_set_str(object, pairs->items[i].key, pairs->items[i].value);
    }
    return object;
}

void
sandbox_job_base_environment(const struct job_state *state, struct json *out)
{
    static const char *const passed[] = {
        "HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "TMPDIR", "SSL_CERT_FILE"};
    struct sandbox *sandbox = state->sandbox;
    const struct github_run *run = state->run;
    for (size_t i = 0; i < ARRAY_LENGTH(passed); i++) {
        json_set_str(out, passed[i], env_get(sandbox->platform, passed[i]));
    }
    char *api CLEANUP(xfreep) =
        xasprintf("%s/%s", sandbox->origin, sandbox->options->ghes != NULL ? "api/v3" : "github");
    char *aws CLEANUP(xfreep) = xasprintf("%s/aws", sandbox->origin);
    char *workflow_ref CLEANUP(xfreep) =
        xasprintf("%s/.github/workflows/%s@%s", run->repo->full, run->file, run->ref);
    const char *const texts[][2] = {{"PATH", state->path}, {"CI", "true"},
        {"GITHUB_ACTIONS", "true"}, {"GITHUB_ACTOR", run->actor}, {"GITHUB_API_URL", api},
        {"GITHUB_SERVER_URL", sandbox->origin}, {"GITHUB_EVENT_NAME", run->event},
        {"GITHUB_JOB", state->job->key}, {"GITHUB_REF", run->ref}, {"GITHUB_REF_NAME", run->branch},
        {"GITHUB_REPOSITORY", run->repo->full}, {"GITHUB_REPOSITORY_OWNER", run->repo->owner},
        {"GITHUB_SHA", run->sha}, {"GITHUB_WORKFLOW", run->name},
        {"GITHUB_WORKFLOW_REF", workflow_ref}, {"GITHUB_WORKFLOW_SHA", run->sha},
        {"GITHUB_WORKSPACE", state->workspace}, {"GITHUB_TRIGGERING_ACTOR", run->actor},
        {"RUNNER_OS", "Linux"}, {"RUNNER_ARCH", "X64"}, {"RUNNER_NAME", "sandbox"},
        {"RUNNER_ENVIRONMENT", "self-hosted"}, {"RUNNER_TEMP", state->temp},
        {"AWS_ENDPOINT_URL", aws}, {"AWS_ACCESS_KEY_ID", sandbox_aws_access_key(sandbox)},
        {"AWS_SECRET_ACCESS_KEY", sandbox_aws_secret_key(sandbox)},
        {"AWS_REGION", sandbox_aws_region(sandbox)},
        {"AWS_DEFAULT_REGION", sandbox_aws_region(sandbox)}, {"AWS_EC2_METADATA_DISABLED", "true"},
        {"DISPATCHER_SANDBOX", sandbox->origin}, {"DISPATCHER_SANDBOX_REGISTRY", sandbox->host},
        {"DISPATCHER_REGISTRY_USER", "AWS"},
        {"DISPATCHER_REGISTRY_PASSWORD", sandbox_registry_password(sandbox)}};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        json_set_str(out, texts[i][0], texts[i][1]);
    }
    json_set_str(
        out, "GITHUB_REF_TYPE", strncmp(run->ref, "refs/tags/", 10) == 0 ? "tag" : "branch");
    set_number(out, "GITHUB_RUN_ID", run->id);
    set_number(out, "GITHUB_RUN_NUMBER", run->number);
    set_number(out, "GITHUB_RUN_ATTEMPT", run->attempt);
}

// `inputs` has its types back, `github.event.inputs` keeps the strings.
static struct json *
typed_inputs(const struct github_run *run)
{
    struct json *typed = json_clone(run->inputs);
    for (size_t i = 0; i < run->workflow->input_count; i++) {
        const struct workflow_input *input = &run->workflow->inputs[i];
        const char *text = json_str(json_get(run->inputs, input->name));
        int64_t number = 0;
        if (text != NULL && strcmp(input->type, "boolean") == 0) {
            json_set_bool(typed, input->name, strcmp(text, "true") == 0);
        } else if (text != NULL && strcmp(input->type, "number") == 0 &&
                   str_to_int64(str_of(text), &number)) {
            json_set_int(typed, input->name, number);
        }
    }
    return typed;
}

struct json *
sandbox_run_github_context(const struct github_run *run)
{
    const struct sandbox *sandbox = run->sandbox;
    struct json *github = json_make_object(), *event = json_make_object();
    char *api CLEANUP(xfreep) = xasprintf("%s/github", sandbox->origin);
    const char *const texts[][2] = {{"actor", run->actor}, {"triggering_actor", run->actor},
        {"repository", run->repo->full}, {"repository_owner", run->repo->owner}, {"ref", run->ref},
        {"ref_name", run->branch}, {"sha", run->sha}, {"event_name", run->event},
        {"workflow", run->name}, {"server_url", sandbox->origin}, {"api_url", api}};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        json_set_str(github, texts[i][0], texts[i][1]);
    }
    json_set_str(github, "ref_type", strncmp(run->ref, "refs/tags/", 10) == 0 ? "tag" : "branch");
    set_number(github, "run_id", run->id);
    set_number(github, "run_number", run->number);
    set_number(github, "run_attempt", run->attempt);
    set_number(github, "repository_id", run->repo->id);
    set_number(github, "repository_owner_id", run->repo->owner_id);
    json_set(event, "inputs", json_clone(run->inputs));
    json_set_str(event, "ref", run->ref);
    json_set(github, "event", event);
    return github;
}

struct json *
sandbox_run_contexts(const struct github_run *run)
{
    struct json *contexts = json_make_object();
    json_set(contexts, "github", sandbox_run_github_context(run));
    json_set(contexts, "inputs", typed_inputs(run));
    json_set(contexts, "vars", pairs_json(&run->sandbox->options->variables));
    return contexts;
}

struct json *
sandbox_job_contexts(struct job_state *state, const struct json *needs)
{
    const struct github_run *run = state->run;
    struct json *contexts = sandbox_run_contexts(run), *job = json_make_object();
    struct json *runner = json_make_object(), *secrets = NULL;
    struct json *github = sandbox_run_github_context(run);
    char random[41];
    random_hex(state->sandbox->platform->random, 18, random);
    char *text CLEANUP(xfreep) = xasprintf("ghs_%s", random);
    (void)pthread_mutex_lock(&state->sandbox->lock);
    (void)sandbox_github_token_add(state->sandbox, GITHUB_TOKEN_JOB, text);
    (void)pthread_mutex_unlock(&state->sandbox->lock);
    sandbox_job_log_mask(&state->log, text);
    secrets = pairs_json(&state->sandbox->options->secrets);
    json_set_str(secrets, "GITHUB_TOKEN", text);
    json_set_str(github, "token", text);
    json_set_str(github, "job", state->job->key);
    json_set_str(github, "workspace", state->workspace);
    json_set_str(runner, "os", "Linux");
    json_set_str(runner, "arch", "X64");
    json_set_str(runner, "name", "sandbox");
    json_set_str(runner, "temp", state->temp);
    json_set_str(job, "status", "success");
    json_set(contexts, "github", github);
    json_set(contexts, "secrets", secrets);
    json_set(contexts, "runner", runner);
    json_set(contexts, "job", job);
    json_set(contexts, "steps", json_make_object());
    json_set(contexts, "needs", json_clone(needs));
    json_set(contexts, "env", json_make_object());
    return contexts;
}

struct expression_scope
sandbox_job_scope(const struct job_state *state)
{
    return (struct expression_scope){.contexts = state->contexts,
        .failed = state->failed,
        .cancelled = state->cancelled,
        .arena = state->arena};
}

bool
sandbox_job_expand_env(struct job_state *state, const struct yaml_node *node, struct json *out)
{
    struct expression_scope scope = sandbox_job_scope(state);
    for (const struct yaml_node *key = node != NULL && node->kind == YAML_MAPPING ? node->first
                                                                                  : NULL;
         key != NULL; key = key->next) {
        const char *text = yaml_text(key->value), *value = NULL;
        struct error *err CLEANUP(error_freep) =
            sandbox_expression_expand(&scope, text != NULL ? text : "", &value);
        if (err != NULL) {
            sandbox_job_log_put(
                &state->log, "##[error]env '%s': %s", key->text, error_message(err));
            return false;
        }
        json_set_str(out, key->text, value);
    }
    return true;
}

// KEY=VALUE, or KEY<<MARK, lines, MARK.
void
sandbox_job_read_pairs(struct str text, struct json *out)
{
    struct str line = {0};
    while (str_cut(text, '\n', &line, &text)) {
        struct str key = {0}, value = {0};
        const char *equals = line.len > 0 ? memchr(line.ptr, '=', line.len) : NULL;
        const char *here = NULL;
        for (size_t i = 0; i + 1 < line.len && here == NULL; i++) {
            here = line.ptr[i] == '<' && line.ptr[i + 1] == '<' ? line.ptr + i : NULL;
        }
        if (here != NULL && (equals == NULL || here < equals)) {
            struct str mark = str_trim(str_skip(line, (size_t)(here - line.ptr) + 2));
            key = (struct str){line.ptr, (size_t)(here - line.ptr)};
            struct buf many CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
            while (str_cut(text, '\n', &value, &text) && !str_equal(str_trim(value), mark)) {
                buf_puts(&many, many.len > 0 ? "\n" : "");
                buf_add(&many, value);
            }
            char *name CLEANUP(xfreep) = str_dup(str_trim(key));
            json_set_str(out, name, buf_cstr(&many));
        } else if (equals != NULL) {
            (void)str_cut(line, '=', &key, &value);
            char *name CLEANUP(xfreep) = str_dup(str_trim(key));
            char *content CLEANUP(xfreep) = str_dup(value);
            json_set_str(out, name, content);
        }
    }
}

void
sandbox_job_merge(struct json *into, const struct json *from)
{
    json_each(from, merge_member, into);
}

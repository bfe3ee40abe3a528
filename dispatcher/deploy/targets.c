// From settings to targets: what is to run where, which one-off task comes before, which checks
// come after; and the small services that everything about targets shares.
#define _XOPEN_SOURCE 700 // realpath
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "target_internal.h"

enum { REASON_MAX = 400, EVIDENCE_MAX = 12 };

// --- what a move says --------------------------------------------------------------------------

bool
target_set_text(struct arena *arena, const char **member, const char *text)
{
    if (cstr_equal(*member, text) || (*member == NULL && text == NULL)) {
        return false;
    }
    *member = context_clean(arena, text, REASON_MAX);
    return true;
}

void
target_end_move(const struct step_run *run, struct deployment_move *move, const char *outcome,
    const char *reason)
{
    if (move->outcome != NULL) {
        return;
    }
    // Platforms end their sentences with a stop; here it stands inside of one.
    struct str text = str_of(reason != NULL ? reason : move->reason);
    text.len -= text.len > 0 && text.ptr[text.len - 1] == '.' ? 1 : 0;
    move->outcome = outcome;
    (void)target_set_text(
        run->arena, &move->reason, text.len > 0 ? arena_str(run->arena, text) : NULL);
    move->ended_ms = clock_wall(run->context->platform->clock);
}

struct error *
target_root(const struct step_run *run, const struct setting_target *want, const char **out)
{
    const char *root = run->deployment->files_root;
    bool has_files = want->environment_file != NULL || want->environment_from_outputs.count > 0;
    *out = root != NULL ? root : ".";
    return !has_files || !run->deployment->served
               ? NULL
               : error_hint(error_new(ERROR_SPEC, "the service has no checkout that variables of a "
                                                  "target could be read from"),
                     "Use 'environment' and 'secrets', or deploy from a job: 'environment_file' "
                     "and 'environment_from_outputs' name files.");
}

bool
target_is_touched(const struct deployment_target *target)
{
    const char *state = target->forward.state;
    return cstr_equal(state, "intent") || cstr_equal(state, "sent");
}

void
target_add_evidence(const struct step_run *run, struct deployment_target *target, const char *text)
{
    struct str_list *list = &target->evidence;
    const char *line = context_clean(run->arena, text, REASON_MAX);
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], line) == 0) {
            return;
        }
    }
    if (list->count >= EVIDENCE_MAX) {
        return;
    }
    const char **longer = arena_array(run->arena, list->count + 1, sizeof(*longer));
    for (size_t i = 0; i < list->count; i++) {
        longer[i] = list->items[i];
    }
    longer[list->count] = line;
    *list = (struct str_list){longer, list->count + 1};
}

// --- from the settings -------------------------------------------------------------------------

static const char *
version_of(const struct deployment *d, const struct deployment_service *service)
{
    return service != NULL && service->version != NULL ? service->version : d->version;
}

static struct error *
expand_pairs(const struct preparation *p, const struct spec_context *known, struct pair_list *list)
{
    struct pair *pairs = arena_array(p->arena, list->count, sizeof(*pairs));
    for (size_t i = 0; i < list->count; i++) {
        pairs[i].key = list->items[i].key;
        TRY(spec_expand(p->settings, known, list->items[i].value, p->arena, &pairs[i].value));
    }
    *list = (struct pair_list){pairs, list->count};
    return NULL;
}

// Every text of it, whatever it is called: the table knows them all.
static struct error *
expand_want(
    const struct preparation *p, const struct spec_context *known, struct setting_target *want)
{
    for (size_t i = 0; i < deployment_want_table.count; i++) {
        const struct field *field = &deployment_want_table.fields[i];
        void *at = (char *)want + field->offset;
        if (field->kind == FIELD_MAP_STR) {
            TRY(expand_pairs(p, known, at));
        } else if (field->kind == FIELD_STR) {
            const char **text = at;
            if (*text != NULL && strchr(*text, '{') != NULL) {
                TRY(spec_expand(p->settings, known, *text, p->arena, text));
            }
        }
    }
    return NULL;
}

static struct spec_context
known_of(const struct preparation *p, const struct deployment_service *service)
{
    const struct deployment *d = p->deployment;
    return (struct spec_context){
        .version = version_of(d, service),
        .digest = service != NULL ? service->digest : NULL,
        .sha = d->sha,
        .tag = d->tag,
        .service = service != NULL ? service->name : NULL,
        .account = d->account,
        .region = d->region,
    };
}

// What a platform builds from source: the environment's branch, unless the target has its own.
static const char *
branch_of(const struct preparation *p, const struct setting_target *want)
{
    return want->branch != NULL          ? want->branch
           : p->settings->branch != NULL ? p->settings->branch
                                         : p->deployment->branch;
}

static struct error *
add_service(const struct preparation *p, size_t index, struct deployment_target *out)
{
    const struct deployment_service *service = deployment_service_at(p->deployment, index);
    const struct spec_context known = known_of(p, service);
    *out = (struct deployment_target){
        .name = service->name,
        .service = (int64_t)index,
        .want = settings_service(p->settings, service->name)->target,
        .branch = branch_of(p, &settings_service(p->settings, service->name)->target),
    };
    struct error *err = expand_want(p, &known, &out->want);
    return err != NULL ? error_wrap(err, "target of service '%s'", service->name) : NULL;
}

static struct error *
add_worker(const struct preparation *p, const char *file, struct deployment_target *out)
{
    struct spec_context known = known_of(p, NULL);
    known.worker = spec_worker_name(file, p->arena);
    known.worker_file = spec_worker_file(file);
    if (known.worker == NULL) {
        return error_hint(
            error_new(ERROR_SPEC, "worker '%s' has no name before its first dot", file),
            "Rename the file, or narrow 'deploy.workers.files'.");
    }
    *out = (struct deployment_target){
        .name = known.worker,
        .service = -1,
        .worker = arena_dup(p->arena, file),
        .want = p->settings->workers.target,
        .branch = branch_of(p, &p->settings->workers.target),
    };
    struct error *err = expand_want(p, &known, &out->want);
    return err != NULL ? error_wrap(err, "target of worker '%s'", file) : NULL;
}

// Two that mean the same service would fight over it.
static struct error *
check_distinct(const struct deployment *d)
{
    for (size_t i = 0; i < d->targets.count; i++) {
        for (size_t k = i + 1; k < d->targets.count; k++) {
            const struct deployment_target *a = deployment_target_at(d, i),
                                           *b = deployment_target_at(d, k);
            if (cstr_equal(a->want.kind, b->want.kind) &&
                cstr_equal(a->want.cluster, b->want.cluster) &&
                cstr_equal(a->want.service, b->want.service)) {
                return error_hint(error_new(ERROR_SPEC, "'%s' and '%s' have the same target '%s'",
                                      a->name, b->name, a->want.service),
                    "Name the service of each in 'deploy.targets'.");
            }
        }
    }
    return NULL;
}

static size_t
order_of(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->rollout.order.count; i++) {
        if (strcmp(settings->rollout.order.items[i], name) == 0) {
            return i;
        }
    }
    return settings->rollout.order.count;
}

// Those of `rollout.order` first, in its order; the rest as the spec lists them.
static struct error *
add_services(const struct preparation *p, struct deployment_target *targets, size_t *count)
{
    const struct deployment *d = p->deployment;
    for (size_t rank = 0; rank <= p->settings->rollout.order.count; rank++) {
        for (size_t i = 0; i < d->services.count; i++) {
            const char *name = deployment_service_at(d, i)->name;
            const struct setting_service *setting = settings_service(p->settings, name);
            if (setting->has_target && order_of(p->settings, name) == rank) {
                TRY(add_service(p, i, &targets[(*count)++]));
            }
        }
    }
    return NULL;
}

static const char *
names_json(const struct preparation *p, const struct str_list *files)
{
    struct json *list CLEANUP(json_freep) = json_make_array();
    for (size_t i = 0; i < files->count; i++) {
        json_append(list, json_make_string(spec_worker_name(files->items[i], p->arena)));
    }
    char *text CLEANUP(xfreep) = json_text(list);
    return arena_dup(p->arena, text);
}

// The infra workflow is told which workers there are.
static void
add_workers_input(const struct preparation *p, const struct str_list *files)
{
    struct deployment *d = p->deployment;
    const char *input = p->settings->workers.workflow_input;
    if (input == NULL || files->count == 0) {
        return;
    }
    struct pair *inputs = arena_array(p->arena, d->inputs.count + 1, sizeof(*inputs));
    for (size_t i = 0; i < d->inputs.count; i++) {
        inputs[i] = d->inputs.items[i];
    }
    inputs[d->inputs.count] = (struct pair){input, names_json(p, files)};
    d->inputs = (struct pair_list){inputs, d->inputs.count + 1};
    d->workers_input = input;
}

static struct error *
prepare_migrate(const struct preparation *p)
{
    const struct setting_migrate *from = &p->settings->migrate;
    struct deployment *d = p->deployment;
    const struct spec_context known = known_of(p, NULL);
    if (!p->settings->has_migrate) {
        return NULL;
    }
    const char **command = arena_array(p->arena, from->command.count, sizeof(*command));
    for (size_t i = 0; i < from->command.count; i++) {
        TRY(spec_expand(p->settings, &known, from->command.items[i], p->arena, &command[i]));
    }
    d->migrate = (struct deployment_migration){
        .service = from->service,
        .command = {command, from->command.count},
        .timeout_ms = from->timeout_ms,
    };
    return NULL;
}

static struct error *
prepare_checks(const struct preparation *p)
{
    const struct settings *settings = p->settings;
    struct deployment *d = p->deployment;
    const struct deployment_service *first =
        d->services.count > 0 ? deployment_service_at(d, 0) : NULL;
    // A check says which service it is about by its address only; {digest} is the first one's, and
    // known after the push only: step_verify puts it in.
    struct spec_context known = known_of(p, first);
    if (first != NULL && first->digest == NULL) {
        known.digest = "{digest}";
    }
    struct deployment_check *checks =
        arena_array(p->arena, settings->verify_count, sizeof(*checks));
    for (size_t i = 0; i < settings->verify_count; i++) {
        const struct setting_verify *from = &settings->verify[i];
        checks[i] = (struct deployment_check){
            .expect = from->expect, .within_ms = from->within_ms, .body = from->body};
        TRY(spec_expand(settings, &known, from->url, p->arena, &checks[i].url));
        TRY(verify_check_url(checks[i].url));
        TRY(expand_pairs(p, &known, &checks[i].body));
    }
    d->verify = (struct object_list){checks, settings->verify_count};
    return NULL;
}

// Where the files that targets name are: the app's checkout, or where a rollout is run.
static struct error *
find_root(const struct preparation *p)
{
    if (p->deployment->served) {
        return NULL; // nowhere
    }
    const char *path = p->git != NULL                 ? p->git->root
                       : p->request->checkout != NULL ? p->request->checkout
                                                      : ".";
    char *real CLEANUP(xfreep) = realpath(path, NULL);
    if (real == NULL) {
        return error_new(ERROR_USAGE, "checkout '%s': %s", path, strerror(errno));
    }
    p->deployment->files_root = arena_dup(p->arena, real);
    return NULL;
}

// An older commit of a source cannot be asked for, and part of the services has no workers.
static bool
takes_workers(const struct preparation *p)
{
    const struct deployment *d = p->deployment;
    bool goes_back = cstr_equal(d->verb, "rollback") && deployment_is_direct(d);
    return p->settings->has_workers && !goes_back && p->request->only.count == 0;
}

struct error *
targets_prepare(struct deploy_context *context, const struct preparation *p)
{
    struct deployment *d = p->deployment;
    const struct settings *settings = p->settings;
    struct str_list files = {0};
    size_t count = 0;
    TRY(find_root(p));
    if (takes_workers(p)) {
        TRY(workers_find(context, p, &files));
    }
    struct deployment_target *targets =
        arena_array(p->arena, d->services.count + files.count, sizeof(*targets));
    TRY(add_services(p, targets, &count));
    for (size_t i = 0; i < files.count; i++) {
        TRY(add_worker(p, files.items[i], &targets[count++]));
    }
    d->targets = (struct object_list){targets, count};
    d->has_target = count > 0;
    d->parallel = settings->rollout.parallel;
    d->order = settings->rollout.order;
    d->rollout_timeout_ms =
        p->request->timeout_ms > 0 ? p->request->timeout_ms : settings->rollout.timeout_ms;
    d->remove_orphans = settings->workers.remove_orphans;
    d->keep = settings->rollback_keep;
    add_workers_input(p, &files);
    TRY(check_distinct(d));
    TRY(prepare_migrate(p));
    return prepare_checks(p);
}

struct error *
targets_look(struct deploy_context *context, const struct preparation *p)
{
    struct deployment *d = p->deployment;
    const struct step_run run = {.context = context, .deployment = d, .arena = p->arena};
    for (size_t i = 0; i < d->targets.count; i++) {
        struct deployment_target *target = deployment_target_at(d, i);
        struct error *err = target_ops_find(target->want.kind)->look(&run, target);
        if (err != NULL) {
            return error_wrap(err, "look at target '%s'", target->name);
        }
    }
    return takes_workers(p) ? workers_look_for_orphans(context, p) : NULL;
}
